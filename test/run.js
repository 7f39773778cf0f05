// `npm test`: everything that must hold before a change lands, from checks to killed processes.
// Sets up what it needs.
//
//   npm test                    all of it
//   npm test -- unit pytest     some of it, by the names below
//
// The last line is the count alone: `N passed, N failed`; what was skipped is counted before it.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const root = join(__dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'sa-orch-test-'));
/** Tests that take longer are listed: the whole must stay under half an hour. */
const SLOW_MS = 20_000;
const total = { passed: 0, failed: 0, skipped: 0 };

async function main() {
  const wanted = process.argv.slice(2);
  count('build', run(process.execPath, ['bin/build.js']));
  if (total.failed > 0) return; // nothing below can be trusted
  const python = await setUp();
  const steps = {
    types: () => count('types', tool('tsc', ['--noEmit', '-p', 'tsconfig.json'])),
    'buf lint': () => count('buf lint', tool('buf', ['lint'])),
    eslint: () => count('eslint', tool('eslint', ['.'])),
    prettier: () => count('prettier', tool('prettier', ['--check', '.', '--log-level', 'warn'])),
    ruff: () =>
      count(
        'ruff',
        run(python, ['-m', 'ruff', 'check', 'trainer/torch']) &&
          run(python, ['-m', 'ruff', 'format', '--check', 'trainer/torch']),
      ),
    mypy: () =>
      count(
        'mypy',
        run(python, ['-m', 'mypy', '--config-file', 'pyproject.toml'], {
          cwd: join(root, 'trainer/torch'),
        }),
      ),
    unit: () => jest('unit'),
    replay: () => jest('replay'),
    pytest: () => pytest(python),
    conformance: () => jest('conformance'),
    'conformance-tfjs': () => jest('conformance-tfjs'),
    'conformance-toy': () => jest('conformance-toy'),
    fidelity: () => jest('fidelity'),
    durability: () => jest('durability'),
  };
  const unknown = wanted.filter((name) => !(name in steps));
  if (unknown.length > 0) {
    console.error(
      `unknown part ${unknown.join(', ')}; there are: ${Object.keys(steps).join(', ')}`,
    );
    total.failed++;
    return;
  }
  for (const [name, step] of Object.entries(steps)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const started = Date.now();
    console.log(`\n== ${name}`);
    step();
    console.log(`== ${name}: ${Math.round((Date.now() - started) / 1000)} s`);
  }
}

/**
 * Makes what tests use as a user would get it, and tells them by environment variables. Returns the
 * test environment's Python.
 */
async function setUp() {
  const load = (name) => require(join(root, 'dist/orchestrator/runtime', name));
  const onProgress = (mark, name, text) => console.log(`${mark} ${name.padEnd(22)} ${text}`);
  const trainer = await load('trainer-environment').ensureTestEnvironment({ onProgress });
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
  if (!process.env.SA_ORCH_DATA)
    console.log(
      '! real rows                SA_ORCH_DATA is not set: tests that need real rows are skipped',
    );
  return trainer.python;
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

function tool(name, args) {
  return run(process.execPath, [join(root, 'node_modules/.bin', name), ...args]);
}

function count(name, passed) {
  total[passed ? 'passed' : 'failed']++;
  if (!passed) console.log(`FAILED ${name}`);
}

function jest(project) {
  const report = join(scratch, `${project}.json`);
  tool('jest', ['--selectProjects', project, '--json', '--outputFile', report]);
  if (!existsSync(report)) return count(`jest ${project}`, false);
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

function pytest(python) {
  const report = join(scratch, 'pytest.xml');
  // Two files at a time: tiny models leave most of a second core idle.
  run(python, ['-m', 'pytest', '-n', '2', '--dist', 'loadfile', `--junitxml=${report}`], {
    cwd: join(root, 'trainer/torch'),
  });
  const suite = existsSync(report)
    ? /<testsuite [^>]*>/.exec(readFileSync(report, 'utf8'))?.[0]
    : undefined;
  if (!suite) return count('pytest', false);
  const number = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = number('failures') + number('errors');
  total.failed += failed;
  total.skipped += number('skipped');
  total.passed += number('tests') - failed - number('skipped');
}

main()
  .catch((error) => {
    console.error(error);
    total.failed++;
  })
  .finally(() => {
    rmSync(scratch, { recursive: true, force: true });
    if (total.skipped > 0) console.log(`\n${total.skipped} skipped: each says above what it needs`);
    console.log(`\n${total.passed} passed, ${total.failed} failed`);
    process.exitCode = total.failed > 0 ? 1 : 0;
  });
