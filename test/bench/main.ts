/**
 * `npm run bench`: speeds, each beside what it is compared with, in one run. Prints one JSON
 * document. Never part of a test: machines differ. All parts but `watch`, `many`, `pool`,
 * `transfers` and `gpu` need SA_ORCH_DATA, a folder with the files that they read: glue/MRPC,
 * squad, xsum and vocab/roberta-base. SA_ORCH_PYTHON names the interpreter, as everywhere; without
 * it there is an environment of our own.
 *
 *   npm run bench                     all parts
 *   npm run bench -- trial watch      some of them
 *
 * The parts are trial, squad, generate, frameworks, sweep, watch, many, pool, transfers and gpu.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { progressLineOnStderr as onProgress } from '../../orchestrator/cli/output';
import { resolveBackbone } from '../../orchestrator/runtime/backbone';
import { packageRoot } from '../../common/package';
import { ensureTensorflowEnvironment } from '../../orchestrator/runtime/tensorflow-environment';
import { ensureTestEnvironment } from '../../orchestrator/runtime/trainer-environment';
import { frameworksSideBySide } from './frameworks';
import { manyTrials } from './many_trials';
import { moveFiles } from './transfers';
import { sweepAgainstProcesses } from './sweep';
import { watchEvents } from './watch_events';

const PARTS = [
  'trial',
  'squad',
  'generate',
  'frameworks',
  'sweep',
  'watch',
  'many',
  'pool',
  'transfers',
  'gpu',
] as const;
type Part = (typeof PARTS)[number];
const WITHOUT_FILES = new Set<string>(['watch', 'many', 'pool', 'transfers', 'gpu']);

/** Trainers of the part `pool`. */
const POOL = 16;

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !PARTS.some((part) => part === name));
  if (unknown.length > 0) {
    throw new Error(`unknown part ${unknown.join(', ')}; there are: ${PARTS.join(', ')}`);
  }
  const chosen = PARTS.filter((part) => wanted.length === 0 || wanted.includes(part));
  if (!process.env.SA_ORCH_DATA && !chosen.every((part) => WITHOUT_FILES.has(part))) {
    throw new Error('SA_ORCH_DATA must name a folder with the data sets');
  }
  const { python, env } = await ensureTestEnvironment({ onProgress });
  Object.assign(process.env, env, { SA_ORCH_TEST_PYTHON: python });
  const backbone = async () => (await resolveBackbone('all-MiniLM-L6-v2', { onProgress })).path;
  /** Whatever starts a trainer for a test asks for it in the environment. */
  const backboneForTrainers = async () => (process.env.SA_ORCH_TEST_BACKBONE = await backbone());
  const tfjs = async () => (await ensureTensorflowEnvironment({ onProgress })).modulePath;
  const askScript = (args: string[]) =>
    JSON.parse(
      execFileSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
    ) as unknown;
  const scripts = join(packageRoot(), 'trainer/torch/bench');
  const sideBySide = (script: string, args: string[]) =>
    askScript([join(scripts, script), ...args]);
  const parts: Record<Part, () => unknown> = {
    trial: async () => sideBySide('side_by_side.py', [await backbone()]),
    squad: async () => sideBySide('squad_side_by_side.py', [await backbone()]),
    generate: () => sideBySide('generate_side_by_side.py', []),
    frameworks: async () => frameworksSideBySide(python, await backbone(), await tfjs()),
    sweep: async () => sweepAgainstProcesses(python, await backbone()),
    watch: () => watchEvents(),
    many: async () => manyTrials(await backboneForTrainers()),
    pool: async () => {
      const folder = await backboneForTrainers();
      return {
        parts_of_10: await manyTrials(folder, { trainers: POOL }),
        parts_of_32: await manyTrials(folder, { trainers: POOL, cohort: 32 }),
      };
    },
    transfers: async () => {
      await backboneForTrainers();
      process.env.SA_ORCH_TEST_TFJS = await tfjs();
      return moveFiles();
    },
    gpu: () => askScript(['-m', 'bench.gpu']),
  };
  const results: Record<string, unknown> = {};
  for (const name of chosen) {
    onProgress('…', 'bench', name);
    results[name] = await parts[name]();
  }
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
