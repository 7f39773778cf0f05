import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { packageRoot } from '../../../common/package';

const source = join(packageRoot(), 'common/log-output.ts');
const { code } = transformFileSync(source, {
  swcrc: false,
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
});

it('costs a background process only the lines that find no room', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-output-'));
  try {
    const log = join(folder, 'log');
    const program = `${code}
      exports.keepLogging();
      console.log('first');
      process.stderr.write('x'.repeat(100_000));
      process.stderr.write('y');
      require('node:fs').truncateSync(${JSON.stringify(log)});
      setTimeout(() => process.stderr.write('last\\n'), 50);`;
    // The system refuses to let the file grow, as a full disk does.
    const limited = 'ulimit -f 8; exec "$0" -e "$1" >> "$2" 2>&1';
    const { status } = spawnSync('sh', ['-c', limited, process.execPath, program, log]);
    expect(status).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('last\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
