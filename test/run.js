// `npm test`: everything that must hold before a change lands, from checks to killed processes.
// Sets up what it needs.
//
//   npm test                    all of it
//   npm test -- unit pytest     some of it, by the names below
//
// Two steps run at a time, and each uses one core: the output of a step is shown when it has ended.
// The last line is the count alone: `N passed, N failed`; what was skipped is counted before it.
const { spawn, spawnSync } = require('node:child_process');
const { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { setTimeout } = require('node:timers');

const root = join(__dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'sa-orch-test-'));
// Some tests act as another user.
chmodSync(scratch, 0o755);
/** ESLint needs version 6, which is slower: both have a `tsc`. */
const TYPESCRIPT = 'node_modules/typescript-7/bin/tsc';
/** At a time. */
const STEPS = 2;
/** Tests that take longer are listed: the whole must stay under 30 minutes on two cores. */
const SLOW_MS = 20_000;
/** Between asking what still runs to end, and ending it. */
const GRACE_MS = 5000;
const total = { passed: 0, failed: 0, skipped: 0 };
const running = new Set();
/** The exit status of the signal that ended this run early. */
let stopped;

async function main() {
  const wanted = process.argv.slice(2);
  count('build', spawnSync(process.execPath, ['bin/build.js'], { cwd: root, stdio: 'inherit' }));
  if (total.failed > 0) return; // nothing below can be trusted
  const python = await setUp();
  const trainer = { cwd: join(root, 'trainer/torch') };
  // Checks first, then the longest: what is left at the end is short.
  const steps = {
    types: () => check('types', process.execPath, [TYPESCRIPT, '--noEmit', '-p', 'tsconfig.json']),
    eslint: () => check('eslint', ...tool('eslint', '.')),
    prettier: () => check('prettier', ...tool('prettier', '--check', '.', '--log-level', 'warn')),
    mypy: () => check('mypy', python, ['-m', 'mypy', '--config-file', 'pyproject.toml'], trainer),
    'buf lint': () => check('buf lint', ...tool('buf', 'lint')),
    ruff: () => check('ruff', python, ['-m', 'ruff', 'check', 'trainer/torch', 'test']),
    'ruff format': () =>
      check('ruff format', python, ['-m', 'ruff', 'format', '--check', 'trainer/torch', 'test']),
    unit: () => jest('unit'),
    replay: () => jest('replay'),
    durability: () => jest('durability'),
    pytest: () => pytest(python),
    conformance: () => jest('conformance'),
    surroundings: () => jest('surroundings'),
    fidelity: () => jest('fidelity'),
    'conformance-tfjs': () => jest('conformance-tfjs'),
    'conformance-toy': () => jest('conformance-toy'),
  };
  const unknown = wanted.filter((name) => !(name in steps));
  if (unknown.length > 0) {
    console.error(
      `unknown part ${unknown.join(', ')}; there are: ${Object.keys(steps).join(', ')}`,
    );
    total.failed++;
    return;
  }
  const waiting = Object.keys(steps).filter((name) => wanted.length === 0 || wanted.includes(name));
  const runWaiting = async () => {
    while (waiting.length > 0 && stopped === undefined) await steps[waiting.shift()]();
  };
  await Promise.all(Array.from({ length: STEPS }, runWaiting));
}

/**
 * Makes what tests use as a user would get it, and tells them by environment variables. Returns the
 * test environment's Python.
 */
async function setUp() {
  const load = (name) => require(join(root, 'dist/orchestrator/runtime', name));
  const onProgress = (mark, name, text) => console.log(`${mark} ${name.padEnd(22)} ${text}`);
  const environments = load('trainer-environment');
  const trainer = await environments.ensureTestEnvironment({ onProgress });
  const { peft, adapters } = await environments.ensureTestLibraries({ onProgress });
  const backbone = await load('backbone').resolveBackbone('all-MiniLM-L6-v2', { onProgress });
  const temporal = await load('temporal-binary').findTemporalBinary(onProgress);
  const tensorflow = await load('tensorflow-environment').ensureTensorflowEnvironment({
    onProgress,
  });
  process.env.PYTHONPATH = trainer.env.PYTHONPATH;
  process.env.SA_ORCH_TEST_PYTHON = trainer.python;
  process.env.SA_ORCH_TEST_BACKBONE = backbone.path;
  process.env.SA_ORCH_TEST_TEMPORAL = temporal.path;
  process.env.SA_ORCH_TEST_TFJS = tensorflow.modulePath;
  if (peft) process.env.SA_ORCH_TEST_PEFT = peft;
  if (adapters) process.env.SA_ORCH_TEST_ADAPTERS = adapters;
  if (!process.env.SA_ORCH_DATA)
    console.log(
      '! real rows                SA_ORCH_DATA is not set: tests that need real rows are skipped',
    );
  return trainer.python;
}

/**
 * Runs a step's command and shows what it printed. It leads a process group, so that what it has
 * started ends with it. What tests leave behind goes with the scratch folder, services included:
 * they end when their state directory is removed.
 */
function run(name, command, args, options) {
  console.log(`… ${name}`);
  const started = Date.now();
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, TMPDIR: scratch },
    ...options,
  });
  running.add(child);
  const output = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => output.push(chunk));
  return new Promise((resolve) => {
    child.on('error', (error) => output.push(`${error.message}\n`));
    child.on('close', (status) => {
      // Trainers that outlive their tests.
      signal(child, 'SIGKILL');
      running.delete(child);
      console.log(`\n== ${name}: ${Math.round((Date.now() - started) / 1000)} s`);
      for (const chunk of output) process.stdout.write(chunk);
      resolve({ status });
    });
  });
}

function tool(name, ...args) {
  return [process.execPath, [join(root, 'node_modules/.bin', name), ...args]];
}

function count(name, { status }) {
  total[status === 0 ? 'passed' : 'failed']++;
  if (status !== 0) console.log(`FAILED ${name}`);
}

async function check(name, command, args, options) {
  count(name, await run(name, command, args, options));
}

async function jest(project) {
  const report = join(scratch, `${project}.json`);
  // Its cache outlives the scratch folder.
  const cache = join(tmpdir(), 'sa-orch-jest');
  const args = ['--runInBand', '--selectProjects', project, '--json', '--outputFile', report];
  await run(project, ...tool('jest', ...args, '--cacheDirectory', cache));
  if (!existsSync(report)) return count(`jest ${project}`, { status: 1 });
  const {
    numPassedTests,
    numFailedTests,
    numPendingTests,
    numRuntimeErrorTestSuites,
    testResults,
  } = JSON.parse(readFileSync(report, 'utf8'));
  const slow = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ duration }) => duration > SLOW_MS),
  );
  for (const { duration, fullName } of slow.sort((a, b) => b.duration - a.duration))
    console.log(`${String(Math.round(duration / 1000)).padStart(4)} s  ${fullName}`);
  total.passed += numPassedTests;
  total.failed += numFailedTests + numRuntimeErrorTestSuites;
  total.skipped += numPendingTests;
}

async function pytest(python) {
  const report = join(scratch, 'pytest.xml');
  await run('pytest', python, ['-m', 'pytest', `--junitxml=${report}`], {
    cwd: join(root, 'trainer/torch'),
  });
  const suite = existsSync(report)
    ? /<testsuite [^>]*>/.exec(readFileSync(report, 'utf8'))?.[0]
    : undefined;
  if (!suite) return count('pytest', { status: 1 });
  const number = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = number('failures') + number('errors');
  total.failed += failed;
  total.skipped += number('skipped');
  total.passed += number('tests') - failed - number('skipped');
}

function end() {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 300 });
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped: each says above what it needs`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exit(stopped ?? (total.failed > 0 ? 1 : 0));
}

/** To all processes of a step. */
function signal({ pid }, name) {
  try {
    process.kill(-pid, name);
  } catch {
    // All have ended.
  }
}

for (const [name, status] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }))
  process.on(name, () => {
    stopped = status;
    for (const child of running) signal(child, 'SIGTERM');
    setTimeout(() => {
      for (const child of running) signal(child, 'SIGKILL');
    }, GRACE_MS);
  });

main()
  .catch((error) => {
    console.error(error);
    total.failed++;
  })
  .finally(end);
