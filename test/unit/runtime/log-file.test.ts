import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog, readLog, rotateLog, tailLog } from '../../../orchestrator/runtime/log-file';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('logs', () => {
  it('begins at the end of what is there, so that a tail shows the present process only', () => {
    const path = join(folder, 'worker.log');
    writeFileSync(path, 'old line\n');
    const { offset } = openLog(path);
    writeFileSync(path, 'new line 1\nnew line 2\n', { flag: 'a' });
    expect(tailLog(path, 5, offset)).toEqual(['new line 1', 'new line 2']);
    expect(tailLog(path, 1)).toEqual(['new line 2']);
    expect(readLog(join(folder, 'missing.log'), 0, 100)).toBe('');
  });

  it('keeps a limited number of rotated logs; the writer goes on in the emptied file', () => {
    const path = join(folder, 'trainer.log');
    const { descriptor } = openLog(path);
    for (const round of ['1', '2', '3', '4']) {
      writeFileSync(descriptor, round.repeat(100));
      expect(rotateLog(path, 99, 2)).toBe(true);
    }
    writeFileSync(descriptor, 'now');
    expect(rotateLog(path, 99, 2)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(['trainer.log', 'trainer.log.1', 'trainer.log.2']);
    expect(readFileSync(path, 'utf8')).toBe('now');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('4'.repeat(100));
    expect(readFileSync(`${path}.2`, 'utf8')).toBe('3'.repeat(100));
  });
});
