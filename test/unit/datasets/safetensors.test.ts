import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  readSafetensors,
} from '../../../orchestrator/datasets/safetensors';

const tensors = {
  labels: { shape: [3], data: Uint8Array.from([1, 0, 1]) },
  logits: { shape: [2, 2], data: Float32Array.from([0.5, -1, NaN, 2]) },
  offsets: { shape: [2], data: BigInt64Array.from([0n, 2n ** 40n]) },
  ids: { shape: [1], data: Int32Array.from([-7]) },
};

/** A file with that header and body. */
function file(header: unknown, body = ''): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.from(body)]);
}

describe('safetensors files', () => {
  test('come back as they were written', () => {
    const read = decodeSafetensors(Buffer.from(encodeSafetensors(tensors)));
    expect(Object.fromEntries(read)).toEqual(tensors);
  });

  test('have every tensor aligned to its type', () => {
    const bytes = Buffer.from(encodeSafetensors(tensors));
    const headerBytes = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    const begin = (name: string) => 8 + headerBytes + header[name]!.data_offsets[0];
    expect([begin('offsets') % 8, begin('logits') % 4, begin('ids') % 4]).toEqual([0, 0, 0]);
  });

  test('may hold tensors without values', () => {
    const empty = { none: { shape: [0, 4], data: new Float32Array(0) } };
    expect(decodeSafetensors(Buffer.from(encodeSafetensors(empty))).get('none')).toEqual(
      empty.none,
    );
  });

  test('are not written with a shape that does not fit', () => {
    expect(() => encodeSafetensors({ x: { shape: [2, 2], data: new Float32Array(3) } })).toThrow(
      'tensor x has shape [2, 2] and 3 values',
    );
  });

  test.each([
    [
      'shorter than its header says',
      Buffer.from(encodeSafetensors(tensors)).subarray(0, 60),
      'cannot hold its header',
    ],
    [
      'cut off in a tensor',
      Buffer.from(encodeSafetensors(tensors)).subarray(0, -1),
      'tensor labels ends at byte 39 of 38',
    ],
    ['of no bytes', Buffer.alloc(0), '0 bytes cannot hold its header'],
    [
      'with offsets that do not fit the shape',
      file({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 4] } }, 'abcd'),
      'does not fit its offsets',
    ],
    [
      'with a negative offset',
      file({ x: { dtype: 'U8', shape: [2], data_offsets: [-2, 0] } }),
      'tensor x ends at byte 0 of 0',
    ],
    [
      'with a negative size',
      file({ x: { dtype: 'U8', shape: [-1, -4], data_offsets: [0, 4] } }, 'abcd'),
      'does not fit its offsets',
    ],
    [
      'of a type that is not read',
      file({ x: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] } }, 'abcd'),
      'has type BF16; U8, I32, I64, F32 can be read',
    ],
  ])('%s are refused', (_what, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  test('that are broken are named', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sa-orch-st-'));
    const path = join(folder, 'logits.safetensors');
    writeFileSync(path, 'nonsense, but long enough');
    expect(() => readSafetensors(path)).toThrow(`${path}: is not a complete safetensors file`);
    expect(() => readSafetensors(join(folder, 'none'))).toThrow('cannot be read');
    rmSync(folder, { recursive: true });
  });

  test('give a tensor by name and type, or say what is there instead', () => {
    const read = decodeSafetensors(Buffer.from(encodeSafetensors(tensors)));
    expect(float32Tensor(read, 'logits').shape).toEqual([2, 2]);
    expect(() => float32Tensor(read, 'labels')).toThrow('it is U8');
    expect(() => float32Tensor(read, 'logit')).toThrow('there are offsets, logits, ids, labels');
  });
});
