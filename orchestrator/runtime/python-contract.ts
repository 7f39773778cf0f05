/**
 * Generates the Python modules for the contract in proto/ into gen/python, with the interpreter
 * that will use them.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { UserError } from '../base/errors';
import { readIfThere } from '../../common/files';
import { withLock } from '../../common/lock-file';
import { packageRoot } from '../../common/package';
import { runIsolated, type IsolatedPython } from './isolated-python';

const PROTO = join(packageRoot(), 'proto');
const PACKAGE = join('sparse_adapter', 'trainer', 'v1');
/** Where they are; `isolated.py` looks here, too. */
export const PYTHON_CONTRACT = join(packageRoot(), 'gen', 'python');

/**
 * File with a digest of the .proto files and the versions of protobuf and its generator, because
 * generated code refuses an older protobuf runtime.
 */
const STAMP = '.stamp';

/**
 * Generates the contract's Python modules if they are missing or were made from other .proto files
 * or by another protobuf version.
 */
export async function ensurePythonContract(python: IsolatedPython): Promise<void> {
  const probe = await runIsolated(python, [
    '-c',
    'import importlib.metadata as m; print(m.version("protobuf"), m.version("grpcio-tools"))',
  ]);
  if (probe.status !== 0) {
    const why = probe.stderr.trim().split('\n').at(-1) || `it ${probe.end}`;
    throw new UserError(`${python.path} does not have protobuf or grpcio-tools: ${why}`, 2);
  }
  const files = readdirSync(join(PROTO, PACKAGE))
    .filter((name) => name.endsWith('.proto'))
    .sort();
  const hash = createHash('sha256').update(probe.stdout);
  for (const name of files)
    hash.update(`${name}\0`).update(readFileSync(join(PROTO, PACKAGE, name)));
  const stamp = hash.digest('hex');
  const isPresent = (): boolean => readIfThere(join(PYTHON_CONTRACT, STAMP)) === stamp;
  if (isPresent()) return;
  mkdirSync(join(packageRoot(), 'gen'), { recursive: true });
  await withLock(
    `${PYTHON_CONTRACT}.lock`,
    () => undefined,
    async () => {
      if (!isPresent()) await generate(python, files, stamp);
    },
  );
}

async function generate(python: IsolatedPython, files: string[], stamp: string): Promise<void> {
  const fresh = `${PYTHON_CONTRACT}.${process.pid}.new`;
  const old = `${PYTHON_CONTRACT}.${process.pid}.old`;
  makeFolder(fresh);
  const outputs = ['python', 'pyi', 'grpc_python'].map((kind) => `--${kind}_out=${fresh}`);
  const sources = files.map((name) => join(PACKAGE, name));
  const { status, stderr, end } = await runIsolated(python, [
    'grpc_tools.protoc',
    `-I${PROTO}`,
    ...outputs,
    ...sources,
  ]);
  if (status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`protoc failed on ${PROTO}: ${stderr.trim() || `it ${end}`}`);
  }
  writeFileSync(join(fresh, STAMP), stamp);
  if (existsSync(PYTHON_CONTRACT)) renameSync(PYTHON_CONTRACT, old);
  renameSync(fresh, PYTHON_CONTRACT);
  rmSync(old, { recursive: true, force: true });
}
