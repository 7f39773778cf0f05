/**
 * The ids of every trial and job of the sweeps in configs/, against a saved list: results are found
 * again by them, so that a change of the code that moves one would run a finished sweep anew.
 * `UPDATE_PLANS=1` writes the list, for a change that is meant to.
 */
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planRequest, readRequest } from '../../orchestrator/cli/request';
import { digestValue } from '../../orchestrator/sweep/identity';
import type { Plan, Trial } from '../../orchestrator/sweep/types';
import { jobSpecFor, specDigest, type Work } from '../../orchestrator/trainer-client/spec';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { writeTinyBart } from '../support/tiny-bart';

const SAVED = join(__dirname, 'plans.json');
const SWEEPS = join(__dirname, '../../configs/sweeps');
/**
 * Summaries need an encoder–decoder; what is planned depends on its sizes and its tokenizer's files
 * alone.
 */
const SUMMARIES = ['xsum', 'cnn_dailymail', 'published/xsum'];
/** The published code's places of modules depend on it. */
const ON_ROBERTA = ['published/glue'];
/** SQuAD 2.0 is not among the real rows. */
const NO_ROWS = 'squad paper rows';
/** Those of the tokenizer that the small BART borrows. */
const MINILM_WORDS = 30_522;
const WORKS: Work[] = ['prune', 'train', 'predict'];

const backbone = process.env.SA_ORCH_TEST_BACKBONE!;
const rows = process.env.SA_ORCH_DATA;
const names = (readdirSync(SWEEPS, { recursive: true }) as string[])
  .sort()
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => file.replace(/\.yaml$/, ''));
const places: Record<string, string | undefined> = rows
  ? { demo: undefined, rows }
  : { demo: undefined };
const saved = JSON.parse(readFileSync(SAVED, 'utf8')) as Record<string, unknown>;
const found: Record<string, unknown> = {};

let folder: string;
let bart: string;
let roberta: string;
let noRows: string | undefined;

beforeAll(() => {
  if (!rows) console.warn('plans of real rows are not compared: set SA_ORCH_DATA');
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-plans-'));
  bart = writeTinyBart(join(folder, 'bart'), { words: MINILM_WORDS, positions: 1024 });
  copyFileSync(join(backbone, 'tokenizer.json'), join(bart, 'tokenizer.json'));
  roberta = join(folder, 'roberta');
  writeTinyBackbone(roberta, 'roberta', MINILM_WORDS, 514);
  copyFileSync(join(backbone, 'tokenizer.json'), join(roberta, 'tokenizer.json'));
  noRows = process.env.SA_ORCH_DATA;
  delete process.env.SA_ORCH_DATA;
});

afterAll(() => {
  if (noRows !== undefined) process.env.SA_ORCH_DATA = noRows;
  if (process.env.UPDATE_PLANS) writeFileSync(SAVED, `${JSON.stringify(found, null, 1)}\n`);
  rmSync(folder, { recursive: true, force: true });
});

describe.each(Object.keys(places))('on %s', (place) => {
  describe.each(names)('%s', (name) => {
    const profiles = [undefined, ...listProfiles(name)];
    test.each(profiles.filter((profile) => `${name} ${profile} ${place}` !== NO_ROWS))(
      'has the ids that it had, profile %s',
      async (profile) => {
        const plan = await buildPlan(name, profile, places[place]);
        const key = `${name} ${profile ?? '-'} ${place}`;
        found[key] = ids(plan);
        if (!process.env.UPDATE_PLANS) expect(found[key]).toEqual(saved[key]);
      },
    );
  });
});

/** Those in a folder of their own are named by their files. */
function locate(name: string): string {
  return name.includes('/') ? join(SWEEPS, `${name}.yaml`) : name;
}

function listProfiles(name: string): string[] {
  return readRequest(locate(name), { profile: undefined }).config.profiles.map(
    (profile) => profile.name,
  );
}

async function buildPlan(
  name: string,
  profile: string | undefined,
  dataDir: string | undefined,
): Promise<Plan> {
  const model = SUMMARIES.includes(name) ? bart : ON_ROBERTA.includes(name) ? roberta : backbone;
  const options = { profile, backbone: model, dataDir };
  const plan = await planRequest(readRequest(locate(name), options), options, () => undefined);
  const planned = plan('float32');
  // A job names the directory, which is another on each machine.
  return { ...planned, backbone: { ...planned.backbone, path: '/model' } };
}

/** The list of trials, and one digest of all jobs: their ids come from their specifications. */
function ids(plan: Plan) {
  const jobs = plan.cohorts.flatMap((cohort) =>
    WORKS.map((work) => specDigest(jobSpecFor(plan, cohort, cohort.trials, work))),
  );
  return {
    sweep: plan.sweep_id,
    jobs: digestValue(jobs),
    datasets: plan.datasets.map(({ digest }) => digest),
    trials: [...plan.trials, ...listCandidates(plan)].map(({ id }) => id),
  };
}

/** What a search may choose. */
const listCandidates = ({ search }: Plan): Trial[] =>
  search?.choices.flatMap(({ candidates }) => candidates.flatMap(({ confirm }) => confirm)) ?? [];
