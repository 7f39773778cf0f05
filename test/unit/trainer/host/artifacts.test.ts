/** Names and digests of files under the artifact root. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '../../../../common/safetensors';
import { artifactPath, describeArtifact, readMetadata } from '../../../../trainer/host/artifacts';
import { artifactOnDisk } from '../../../support/jobs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-artifacts-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('an artifact', () => {
  test.each(['', '/etc', '../x', 'a/../b', 'a//b', './a', 'a\\b', 'a\0b'])(
    'has no name like %j',
    (name) => {
      expect(() => artifactPath(root, name)).toThrow(/is not a relative name/);
    },
  );

  test('does not leave the root by a link, whether its own name is there or not', () => {
    symlinkSync('/etc', join(root, 'out'));
    expect(() => artifactPath(root, 'out/passwd')).toThrow(/leaves the artifact root/);
    expect(() => artifactPath(root, 'out/none/none')).toThrow(/leaves the artifact root/);
  });

  test('that is a folder has the digest of its sorted lines', () => {
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/z'), 'z');
    writeFileSync(join(root, 'a/b/c'), 'c');
    expect(describeArtifact(root, 'a')).toEqual(artifactOnDisk(root, 'a'));
    expect(describeArtifact(root, 'a/z')).toEqual(artifactOnDisk(root, 'a/z'));
  });

  test('that is truncated was made from nothing, so its work is done again', () => {
    const path = join(root, 'predictions.safetensors');
    const logits = { shape: [2], data: new Float32Array(2) };
    const whole = encodeSafetensors({ logits }, { source: 'as told' });
    writeFileSync(path, whole);
    expect(readMetadata(path)).toEqual({ source: 'as told' });
    writeFileSync(path, whole.subarray(0, -1));
    expect(readMetadata(path)).toEqual({});
  });
});
