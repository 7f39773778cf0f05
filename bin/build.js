// Builds dist/: contract code from proto/, JavaScript from TypeScript, and Temporal's workflow
// bundle. Runs with `npm run build`, and by itself on the first `sa-orch` after a change.
// Everything is built in a separate folder that becomes dist/ at the end, so a failed or killed
// build leaves the old dist/ unchanged.
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require('node:fs');
const { join, relative } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const ROOT = join(__dirname, '..');
const DIST = join(ROOT, 'dist');
const GEN = join(ROOT, 'gen');
const GENERATED = join(GEN, 'ts');
/** Where things are built before they move into place, on the same disk. */
const WORKSHOP = join(GEN, '.build');
const PROTO_SOURCES = ['proto', 'buf.gen.yaml', 'buf.yaml'];
const SOURCES = [
  ...PROTO_SOURCES,
  ...[
    'common',
    'orchestrator',
    'workflows',
    'trainer/host',
    'trainer/tfjs',
    'test/bench',
    'test/fidelity/published-tfjs.ts',
    'test/support',
    'bin/build.js',
  ],
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
];

/** A digest of the sources' names and contents. */
function stampSources(sources) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    for (const entry of entries) {
      if (entry.isDirectory()) visit(join(path, entry.name));
      else add(join(path, entry.name));
    }
  };
  const add = (path) =>
    hash
      .update(`${relative(ROOT, path)}\0`)
      .update(readFileSync(path))
      .update('\0');
  for (const source of sources) {
    const path = join(ROOT, source);
    if (existsSync(path) && /\.[a-z]+$/.test(source)) add(path);
    else if (existsSync(path)) visit(path);
  }
  return hash.digest('hex');
}

const stampIn = (folder) =>
  existsSync(join(folder, '.stamp')) ? readFileSync(join(folder, '.stamp'), 'utf8') : '';

/** Whether dist/ was built from the current sources. */
const isBuilt = () => stampIn(DIST) === stampSources(SOURCES);

function run(step, script, args) {
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules', script), ...args],
    {
      cwd: ROOT,
      encoding: 'utf8',
      // buf looks for its plugins on PATH.
      env: { ...process.env, PATH: `${join(ROOT, 'node_modules', '.bin')}:${process.env.PATH}` },
    },
  );
  if (status !== 0)
    throw new Error(`${step} failed:\n${error ? error.message : `${stdout}${stderr}`.trim()}`);
}

/** Replaces a folder with a finished one. */
function swapIn(fresh, place) {
  const old = join(WORKSHOP, 'old');
  rmSync(old, { recursive: true, force: true });
  if (existsSync(place)) renameSync(place, old);
  renameSync(fresh, place);
  rmSync(old, { recursive: true, force: true });
}

function generateContract() {
  const stamp = stampSources(PROTO_SOURCES);
  if (stampIn(GENERATED) === stamp) return;
  const fresh = join(WORKSHOP, 'contract');
  run('generating the contract', '@bufbuild/buf/bin/buf', ['generate', '--output', fresh]);
  // What gRPC reflection serves.
  run('describing the contract', '@bufbuild/buf/bin/buf', [
    'build',
    '--output',
    join(fresh, 'gen', 'ts', 'descriptors.binpb'),
  ]);
  writeFileSync(join(fresh, 'gen', 'ts', '.stamp'), stamp);
  swapIn(join(fresh, 'gen', 'ts'), GENERATED);
}

async function bundleWorkflows(folder) {
  const workflowsPath = join(folder, 'workflows', 'index.js');
  const { bundleWorkflowCode } = require('@temporalio/worker');
  const warnings = [];
  const keep = (level) => (message) =>
    level === 'WARN' || level === 'ERROR' ? warnings.push(message) : undefined;
  const logger = {
    log: (level, message) => keep(level)(message),
    ...Object.fromEntries(
      ['trace', 'debug', 'info', 'warn', 'error'].map((name) => [name, keep(name.toUpperCase())]),
    ),
  };
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath, logger });
    writeFileSync(join(folder, 'workflow-bundle.js'), code);
  } catch (error) {
    throw new Error(`bundling the workflows failed: ${[error.message, ...warnings].join('\n')}`, {
      cause: error,
    });
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/**
 * Allows one build at a time: waits for another process's build, and takes over a dead one's lock.
 * Returns a function that releases the lock.
 */
async function lockBuild() {
  const lock = join(GEN, '.build.lock');
  mkdirSync(GEN, { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0;
    if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true });
    await sleep(200);
  }
}

/** Builds dist/ unless it is up to date. */
async function build() {
  if (!existsSync(join(ROOT, 'node_modules', 'typescript-7')))
    throw new Error('dependencies are not installed: run `npm ci` first');
  const release = await lockBuild();
  const fresh = join(WORKSHOP, 'dist');
  try {
    const stamp = stampSources(SOURCES);
    if (stampIn(DIST) === stamp) return;
    rmSync(WORKSHOP, { recursive: true, force: true });
    mkdirSync(WORKSHOP, { recursive: true });
    generateContract();
    run('compiling', 'typescript-7/bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', fresh]);
    await bundleWorkflows(fresh);
    writeFileSync(join(fresh, '.stamp'), stamp);
    swapIn(fresh, DIST);
  } finally {
    rmSync(WORKSHOP, { recursive: true, force: true });
    release();
  }
}

module.exports = { build, isBuilt };

if (require.main === module) {
  build().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
