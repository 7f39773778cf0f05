/** The precision that a start would take, told before a trainer runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceName } from '../../../common/device';
import { expectedPrecision } from '../../../orchestrator/runtime/expected-precision';
import type { Framework } from '../../../orchestrator/runtime/trainer-command';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-expected-precision-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the precision that a start would take', () => {
  const NO_GPU = { CUDA_VISIBLE_DEVICES: '' };
  const remembered = (framework: Framework, device: DeviceName | null): void => {
    const temporal = { kind: 'embedded', address: '127.0.0.1:1' };
    const trainer = { kind: 'local', framework, address: `unix:${folder}/none.sock`, device };
    writeFileSync(join(folder, 'runtime.json'), JSON.stringify({ format: 2, temporal, trainer }));
  };

  it('is float32 where no GPU can be used', async () => {
    expect(await expectedPrecision(folder, NO_GPU)).toEqual({
      precision: 'float32',
      unlisted: null,
    });
  });

  it.each([
    ['torch', 'cuda:1', { precision: 'bf16', unlisted: null }],
    ['torch', 'cpu', { precision: 'float32', unlisted: null }],
    ['torch', null, { precision: 'float32', unlisted: null }],
    ['tfjs', 'cuda', { precision: 'float32', unlisted: 'bf16' }],
  ] as const)(
    'is that of the trainer that ran here last: %s on %s',
    async (framework, device, expected) => {
      remembered(framework, device);
      expect(await expectedPrecision(folder, NO_GPU)).toEqual(expected);
    },
  );
});
