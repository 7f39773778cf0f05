/**
 * Commands as people type them, and what may be wrong with the place where they do. No service can
 * start here: the programs that a start needs end at once.
 */
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { artifactRootId } from '../../common/files';
import { packageRoot } from '../../common/package';
import { writePlan } from '../../orchestrator/store/plan-store';
import { writeResult } from '../../orchestrator/store/sweep-store';
import { writeFilmReviews } from '../support/film-reviews';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { buildPlan, buildResults } from '../unit/support/results';

const NOBODY = 65534;
const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'film', 'great', 'awful', 'number'];

export const COMMAND = join(packageRoot(), 'bin', 'sa-orch.js');
export const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

let nobodyWorks: boolean | undefined;

/** Whether this user may run the command as another one who has no rights. */
export function canBeNobody(): boolean {
  nobodyWorks ??=
    process.getuid?.() === 0 &&
    spawnSync('setpriv', [...AS_NOBODY, process.execPath, COMMAND, '--version']).status === 0;
  return nobodyWorks;
}

/** Chooses with a seed, so that what was found can be repeated. */
export interface Choice {
  chance(probability: number): boolean;
  of<T>(list: readonly T[]): T;
}

/** A place to copy: a small backbone, a sweep file with rows, a finished sweep, dead services. */
export async function makeTemplate(folder: string): Promise<{ sweepId: string; trialId: string }> {
  writeFilmReviews(folder);
  // The small backbone has few positions.
  appendFileSync(join(folder, 's.yaml'), 'max_length: 32\n');
  writeTinyBackbone(join(folder, 'base'), 'bert', WORDS.length);
  writeFileSync(join(folder, 'base', 'vocab.txt'), `${WORDS.join('\n')}\n`);
  mkdirSync(join(folder, 'home'));
  const root = join(folder, 'ck');
  mkdirSync(root);
  artifactRootId(root);
  const plan = buildPlan();
  await writePlan(root, plan);
  for (const result of buildResults(plan)) await writeResult(root, plan.sweep_id, result);
  const trialId = plan.trials[0]!.id;
  const sweep = join(root, 'sweeps', plan.sweep_id);
  mkdirSync(join(sweep, 'jobs'));
  const history = { cohort: 'c01-mrpc', work: 'train', trials: [trialId], events: [] };
  writeFileSync(join(sweep, 'jobs', 'c01-mrpc.train-0.x.json'), JSON.stringify(history));
  writeFileSync(join(root, 'trials', trialId, 'metrics.jsonl'), '{"name":"loss","step":1}\n');
  mkdirSync(join(folder, 'st', 'logs'), { recursive: true });
  writeFileSync(join(folder, 'st', 'logs', 'worker.log'), 'a line\n');
  return { sweepId: plan.sweep_id, trialId };
}

/** One try: a command in a place. */
export interface Try {
  folder: string;
  args: string[];
  env: Record<string, string>;
  /** What is wrong, for whoever repeats it. */
  broken: string[];
  /** How a shell runs it: its redirections, and commands before it. */
  before: string;
  redirections: string;
  asNobody: boolean;
}

const BAD_NUMBERS = ['0', '-1', '1.5', 'x', '', '99999999999999999999'];

/** Copies the template and types a command there. */
export function typeCommand(
  choose: Choice,
  template: string,
  folder: string,
  { sweepId, trialId }: { sweepId: string; trialId: string },
): Try {
  cpSync(template, folder, { recursive: true });
  const base = join(folder, 'base');
  const sweepFile = () =>
    choose.of([...Array<string>(8).fill('s.yaml'), './odd name.yaml', '..', '/']);
  const id = () => choose.of([sweepId, sweepId, sweepId.slice(0, 6), trialId, '../x', '-x', '🙂']);
  const seeds = () => (choose.chance(0.1) ? ['--seeds', choose.of(BAD_NUMBERS)] : []);
  const backbone = () => [
    '--backbone',
    choose.of([...Array<string>(8).fill(base), '/none', 's.yaml', '~/x']),
  ];
  const sweep = () => ['--sweep', sweepFile(), ...backbone(), ...seeds()];
  const number = (flag: string) => (choose.chance(0.15) ? [flag, choose.of(BAD_NUMBERS)] : []);
  const json = () => (choose.chance(0.3) ? ['--json'] : []);
  const service = () => [
    ...number('--threads'),
    ...(choose.chance(0.2) ? ['--device', choose.of(['cuda:x', 'tpu', 'cpu', ''])] : []),
    ...(choose.chance(0.1) ? ['--trainer', choose.of(['unix:/none', 'x', 'nohost:1'])] : []),
  ];
  const commands: (() => string[])[] = [
    () => ['plan', ...sweep(), ...json()],
    () => ['plan', ...sweep(), ...number('--rows'), ...json()],
    () => ['plan', ...sweep(), '--data-dir', choose.of(['/none', 's.yaml', folder])],
    () => ['start', ...sweep(), ...service(), ...json()],
    () => ['start', ...sweep(), '--detach', ...number('--max-failures')],
    () => ['run', '--task', choose.of(['mrpc', 'nope']), ...backbone(), ...service()],
    () => ['run', '--task', 'sst2', '--pruner', 'snip', '--sparsity', choose.of(BAD_NUMBERS)],
    () => ['report', id(), ...json()],
    () => ['report', sweepId, ...json()],
    () => ['status', ...json()],
    () => ['status', ...json()],
    () => ['watch', id(), ...service(), ...json()],
    () => ['logs', id(), ...number('--lines'), ...json()],
    () => ['logs', choose.of(['worker', 'trainer', 'supervisor']), ...json()],
    () => [choose.of(['pause', 'resume', 'cancel']), id(), ...json()],
    () => ['cancel', id(), '--force'],
    () => ['clean', ...choose.of([['--dry-run'], ['--yes'], []]), ...json()],
    () => ['clean', '--yes', '--sweep', id(), '--older-than', choose.of(['1d', 'x', ''])],
    () => ['doctor', ...json()],
    () => ['doctor', '--data-dir', choose.of(['/none', 's.yaml']), '--python', '/bin/false'],
    () => ['up', ...service(), ...json()],
    () => ['down', ...json()],
    () => ['down', '--force'],
    () => ['score', '--task', 'mrpc', '--predictions', 't.csv', '--references', 's.yaml'],
    () => ['score', '--task', 'squad', '--predictions', '/dev/null', '--references', '/'],
    () => ['worker', '--trainer', choose.of(['unix:/none', 'x'])],
    () => ['trainer', '--listen', choose.of(['unix:x', 'x', '127.0.0.1:99999']), ...service()],
    () => [choose.of(['--help', '--version', 'help', '--nope', '', 'strat', '\n'])],
    () => [choose.of(['start', 'plan', 'report', 'logs']), '--help'],
  ];
  const typed: Try = {
    folder,
    args: choose.of(commands)(),
    env: {
      PATH: '/usr/bin:/bin',
      HOME: join(folder, 'home'),
      SA_ORCH_ROOT: join(folder, 'ck'),
      SA_ORCH_STATE: join(folder, 'st'),
      // Nothing is downloaded and nothing starts.
      SA_ORCH_TEMPORAL: '/bin/false',
      SA_ORCH_PYTHON: '/bin/false',
      HF_HUB_OFFLINE: '1',
      HF_ENDPOINT: 'http://127.0.0.1:1',
      PIP_INDEX_URL: 'http://127.0.0.1:1',
      PIP_RETRIES: '0',
      UV_OFFLINE: '1',
    },
    broken: [],
    before: '',
    redirections: '</dev/null',
    asNobody: choose.chance(0.4) && canBeNobody(),
  };
  const ways = Object.entries(BREAKERS);
  for (let count = choose.of([0, 1, 1, 2, 2, 3]); count > 0; count--) {
    const [name, spoil] = choose.of(ways);
    typed.broken.push(name);
    try {
      spoil(typed, choose);
    } catch {
      // An earlier one has taken it away.
    }
  }
  if (typed.asNobody) typed.broken.push('as nobody');
  return typed;
}

const BROKEN_TEXTS = [
  '',
  '{',
  'null',
  '[]',
  '"x"',
  '{}',
  '{"format":3}',
  '{"format":2}',
  '{"format":2,"temporal":{"kind":"embedded","address":"127.0.0.1:1"},"trainer":5}',
  '\0\0\0\0',
  '\uFEFF{"format":3,"trials":[],"cohorts":[],"datasets":[],"backbone":{}}',
  '{"format":3,"trials":[null],"cohorts":[null],"datasets":[null],"backbone":{}}',
  '{"services":[null]}',
  '{"services":[{"name":"worker"}]}',
  '{"pid":1}',
];

type Breaker = (typed: Try, choose: Choice) => void;

const inState =
  (name: string): Breaker =>
  ({ folder }, choose) =>
    writeFileSync(join(folder, 'st', name), choose.of(BROKEN_TEXTS));

/** Replaces a file or folder by something else, or takes the rights to it. */
const spoil =
  (name: string): Breaker =>
  ({ folder }, choose) => {
    const path = join(folder, name);
    const kind = choose.of([
      'gone',
      'file',
      'folder',
      'pipe',
      'loop',
      'rights',
      'readable',
      'null',
    ]);
    if (kind === 'rights') return chmodSync(path, 0o000);
    if (kind === 'readable') return chmodSync(path, 0o555);
    rmSync(path, { recursive: true, force: true });
    if (kind === 'file') writeFileSync(path, 'x');
    if (kind === 'folder') mkdirSync(path);
    if (kind === 'pipe') spawnSync('mkfifo', [path]);
    if (kind === 'loop') symlinkSync(path, path);
    if (kind === 'null') symlinkSync('/dev/null', path);
  };

/** Files of the finished sweep, by the folder that they are in. */
const spoilSweep =
  (...parts: string[]): Breaker =>
  ({ folder }, choose) => {
    const where = parts.reduce((at, part) => join(at, part || readdirSync(at)[0]!), folder);
    if (existsSync(where)) writeFileSync(where, choose.of(BROKEN_TEXTS));
  };

/**
 * `{}` is the try's folder. What a command may write to must be below that, or nowhere: it may run
 * as root.
 */
const setTo =
  (name: string, ...values: string[]): Breaker =>
  ({ env, folder }, choose) => {
    env[name] = choose.of(values).replace('{}', folder);
  };

/** Bytes at random places of a file. */
const scramble =
  (name: string): Breaker =>
  ({ folder }, choose) => {
    const path = join(folder, name);
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    for (let i = 0; i < 5; i++)
      bytes[choose.of([...bytes.keys()])] = choose.of([0, 9, 10, 34, 58, 91, 123, 195, 255]);
    writeFileSync(path, bytes);
  };

const BREAKERS: Record<string, Breaker> = {
  home: spoil('home'),
  root: spoil('ck'),
  sweeps: spoil('ck/sweeps'),
  trials: spoil('ck/trials'),
  state: spoil('st'),
  'sweep file': spoil('s.yaml'),
  rows: spoil('t.csv'),
  backbone: spoil('base'),
  'config.json': spoil('base/config.json'),
  weights: spoil('base/model.safetensors'),
  'bytes of the sweep file': scramble('s.yaml'),
  'bytes of the rows': scramble('t.csv'),
  'bytes of config.json': scramble('base/config.json'),
  'bytes of the weights': scramble('base/model.safetensors'),
  'plan.json': spoilSweep('ck', 'sweeps', '', 'plan.json'),
  'a history': spoilSweep('ck', 'sweeps', '', 'jobs', 'c01-mrpc.train-0.x.json'),
  'result.json': spoilSweep('ck', 'trials', '', 'result.json'),
  'metrics.jsonl': spoilSweep('ck', 'trials', '', 'metrics.jsonl'),
  '.root-id': ({ folder }) => {
    rmSync(join(folder, 'ck', '.root-id'));
    mkdirSync(join(folder, 'ck', '.root-id'));
  },
  'runtime.json': inState('runtime.json'),
  'supervisor.json': inState('supervisor.json'),
  'supervisor.lock': inState('supervisor.lock'),
  'up.lock': inState('up.lock'),
  'a folder for runtime.json': ({ folder }) => mkdirSync(join(folder, 'st', 'runtime.json')),
  'a folder for a log': ({ folder }) => {
    rmSync(join(folder, 'st', 'logs', 'worker.log'));
    mkdirSync(join(folder, 'st', 'logs', 'worker.log'));
  },
  'the working directory': (typed) => {
    typed.before = 'mkdir gone && cd gone && rmdir ../gone && ';
  },
  'few open files': (typed) => {
    typed.before = 'ulimit -n 24 && ';
  },
  HOME: setTo('HOME', '', '{}/nonexistent', '/dev/null', '{}/base'),
  SA_ORCH_CACHE: setTo('SA_ORCH_CACHE', '{}/none/x', '/dev/null', '/proc', '.', ' '),
  XDG_CACHE_HOME: setTo('XDG_CACHE_HOME', 'relative', '/dev/null/x'),
  XDG_RUNTIME_DIR: setTo('XDG_RUNTIME_DIR', '{}/none', '/dev/null', '{}/base', 'x'),
  SA_ORCH_ROOT: setTo('SA_ORCH_ROOT', '', '/dev/full', '/proc/self', '{}', `/${'x'.repeat(300)}`),
  SA_ORCH_STATE: setTo('SA_ORCH_STATE', '', '/dev/full', '/proc/self', '{}', 'a/'.repeat(2000)),
  SA_ORCH_DATA: setTo('SA_ORCH_DATA', '', '/dev/null', '/nonexistent', '/root'),
  SA_ORCH_PYTHON: setTo('SA_ORCH_PYTHON', '', '/', 'nope', '/etc/passwd'),
  SA_ORCH_TEMPORAL: setTo('SA_ORCH_TEMPORAL', '/', 'nope', '/etc/passwd'),
  TEMPORAL_CONFIG_FILE: setTo('TEMPORAL_CONFIG_FILE', '/nonexistent', '/', '/etc/passwd'),
  TEMPORAL_PROFILE: setTo('TEMPORAL_PROFILE', 'nope', ''),
  TMPDIR: setTo('TMPDIR', '{}/none', '', '/dev/null'),
  PATH: setTo('PATH', '', '/nonexistent'),
  LANG: setTo('LANG', 'C', 'tr_TR.UTF-8', 'x'),
  TERM: setTo('TERM', '', 'dumb', 'x'),
  COLUMNS: setTo('COLUMNS', '0', '-1', 'x'),
  CUDA_VISIBLE_DEVICES: setTo('CUDA_VISIBLE_DEVICES', '', '9', 'x'),
  'stdin closed': (typed) => {
    typed.redirections = '<&-';
  },
  'stdout full': (typed) => {
    typed.redirections = '>/dev/full';
  },
  'stdout closed': (typed) => {
    typed.redirections = '>&-';
  },
  'nobody reads': (typed) => {
    typed.redirections = '| true';
  },
  'stderr full': (typed) => {
    typed.redirections = '2>/dev/full';
  },
};

/** Gives the copied place to the user who types there. */
export function handOver({ folder, asNobody }: Try): void {
  if (!asNobody) return;
  for (const name of ['home', 'st', 's.yaml', 't.csv'])
    if (existsSync(join(folder, name))) chownSync(join(folder, name), NOBODY, NOBODY);
  chmodSync(folder, 0o755);
}
