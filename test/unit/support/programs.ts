/** Shell scripts in place of the programs that a machine may have. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes a script for sh into a folder, which may be on a PATH. Returns its path. */
export function writeProgram(folder: string, name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

/** Writes an interpreter as the probe sees it. */
export function writePython(
  folder: string,
  name: string,
  version: number[],
  hasVenv: boolean,
): string {
  const found = { path: join(folder, name), version, hasVenv, hasPip: true };
  return writeProgram(folder, name, `echo '${JSON.stringify(found)}'`);
}
