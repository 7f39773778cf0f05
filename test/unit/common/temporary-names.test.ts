import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { nameBeside, removeLeftovers } from '../../../common/temporary-names';

test('leftovers go only when their writer is gone, or they are older than a day', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-leftovers-'));
  const own = nameBeside(join(folder, 'step-1'));
  // This process's name with another start: of a process before it that had the same pid.
  const dead = own.replace(/-\w*(\.[0-9a-f]{8})$/, '-0badb00711$1');
  const elsewhere = join(folder, `.step-3.${'0'.repeat(8)}-1-x.${'0'.repeat(8)}`);
  const old = join(folder, `.step-4.${'0'.repeat(8)}-1-x.${'0'.repeat(8)}`);
  for (const path of [own, dead, elsewhere, old]) mkdirSync(path);
  writeFileSync(join(dead, 'state.safetensors'), 'half');
  const twoDaysAgo = new Date(Date.now() - 48 * 3600 * 1000);
  utimesSync(old, twoDaysAgo, twoDaysAgo);
  // Somebody's own, in a state directory that is their project.
  const theirs = ['.git', '.venv', '.gitignore'];
  for (const name of theirs) {
    mkdirSync(join(folder, name));
    utimesSync(join(folder, name), twoDaysAgo, twoDaysAgo);
  }
  mkdirSync(join(folder, 'step-5'));

  removeLeftovers(folder);

  expect(readdirSync(folder).sort()).toEqual(
    [own, elsewhere, 'step-5', ...theirs].map((each) => basename(each)).sort(),
  );
  removeLeftovers(join(folder, 'missing'));
  rmSync(folder, { recursive: true });
});
