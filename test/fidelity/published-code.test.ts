/**
 * What the code published with SparseAdapter was recorded to compute, case by case: its flags go
 * through `sa-orch run`'s reading and planning, and both trainers' engines compute what comes out,
 * the TensorFlow.js one where it lists all that a case needs. What that code could not run must be
 * refused.
 *
 *   SA_ORCH_TEST_PYTHON  an interpreter with what the trainer needs
 *   SA_ORCH_TEST_TFJS    TensorFlow.js's module, for its trainer
 *   SA_ORCH_DATA         a folder beside `official/`, the records
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../common/package';
import { TaskKind, Trial as SpecTrial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { PUBLISHED_FLAGS } from '../../orchestrator/cli/published-flags';
import { specTrial } from '../../orchestrator/trainer-client/spec';
import { groupBy } from '../../orchestrator/base/group-by';
import { listLacking } from '../support/abilities';
import { testIf } from '../support/reference';
import { TrainerPlace } from '../support/trainer-process';
import { PYTHON_PATH } from '../support/trainers';
import { readCase, resolveCase, type Records } from './published-cases';

const { SA_ORCH_TEST_PYTHON: python, SA_ORCH_DATA: data } = process.env;
const folder = data === undefined ? undefined : join(data, '..', 'official');
const here = python !== undefined && folder !== undefined && existsSync(join(folder, 'cases.json'));
const title = here
  ? 'the published code'
  : 'the published code (skipped: needs SA_ORCH_TEST_PYTHON, and its records beside SA_ORCH_DATA)';
const records = (here
  ? JSON.parse(
      // Python writes numbers that JSON has not.
      readFileSync(join(folder, 'cases.json'), 'utf8').replaceAll(/: (NaN|-?Infinity)/g, ': null'),
    )
  : { cases: {}, forms: {} }) as unknown as Records;
const names = Object.keys(records.cases);

/** What a case comes to here: a trial, or why there is none. */
const resolved = new Map(names.map((name) => [name, resolveCase(records, name)]));
/** By case: what differs, or null. */
let computed = new Map<string, string | null>();

/**
 * Cases that run there and are refused here, by what their refusal says. Each is a form that the
 * published scripts never have.
 */
const REFUSED_HERE = ['builds BART adapters for concat that nothing reads'];

const withTfjs = testIf('TensorFlow.js', { SA_ORCH_TEST_TFJS: process.env.SA_ORCH_TEST_TFJS });
const KINDS: Readonly<Record<string, TaskKind>> = {
  reg: TaskKind.TASK_KIND_REGRESSION,
  qa: TaskKind.TASK_KIND_QUESTION_ANSWERING,
  lm: TaskKind.TASK_KIND_SUMMARIZATION,
};

/** By case: what differs from its record, or null. script: what computes and compares. */
function compareCases(
  script: string,
  args: string[],
  cases: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Map<string, string | null> {
  const lines = cases.flatMap((name) => {
    const found = resolved.get(name)!;
    if (!('trial' in found)) return [];
    return [JSON.stringify({ case: name, trial: SpecTrial.toJSON(specTrial(found.trial)) })];
  });
  const { stdout, stderr, status } = spawnSync(
    python!,
    [join(__dirname, script), folder!, ...args],
    {
      input: lines.join('\n'),
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: PYTHON_PATH, ...env },
      maxBuffer: 1 << 26,
    },
  );
  if (status !== 0) throw new Error(stderr);
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { case: string; wrong: string | null })
      .map(({ case: name, wrong }) => [name, wrong]),
  );
}

beforeAll(() => {
  if (here) computed = compareCases('published_code.py', [], names);
}, 240_000);

const runs = names.filter((name) => readCase(records, name).runs);
const ends = names.filter((name) => !readCase(records, name).runs);

(here ? describe : describe.skip)(title, () => {
  test.each(runs)('is computed: %s', (name) => {
    const found = resolved.get(name)!;
    if ('trial' in found) expect(computed.get(name)).toBeNull();
    else expect(REFUSED_HERE.filter((text) => found.problem.includes(text))).toHaveLength(1);
  });

  test.each(ends)('ends in an error there, and is refused here: %s', (name) => {
    expect(resolved.get(name)).toEqual({ problem: expect.any(String) as string });
  });

  test('every flag of a case is in the table of flags', () => {
    const known = new Set(PUBLISHED_FLAGS.map(({ flag }) => flag));
    const used = [...Object.values(records.cases), ...Object.values(records.forms)].flatMap(
      (found) => [
        ...[...found.flags.matchAll(/--(\w+)/g)].map(([, flag]) => flag!),
        ...Object.keys('training_args' in found ? found.training_args! : {}),
      ],
    );
    expect([...new Set(used)].filter((flag) => !known.has(flag))).toEqual([]);
  });

  withTfjs(
    'TensorFlow.js computes all that it lists, and tells what it lacks, by reason',
    async () => {
      const place = new TrainerPlace();
      const { client } = await place.start([], 'tfjs');
      const able = await client.getCapabilities();
      await place.remove();
      const cases = groupBy(
        runs.flatMap((name) => {
          const found = resolved.get(name)!;
          if (!('trial' in found)) return [];
          const kind = KINDS[readCase(records, name).head] ?? TaskKind.TASK_KIND_CLASSIFICATION;
          return [{ name, lacks: listLacking(able, [specTrial(found.trial)], kind).join(', ') }];
        }),
        ({ lacks }) => lacks,
      );
      const compared = (cases.get('') ?? []).map(({ name }) => name);
      const lines = [...cases].flatMap(([lacks, some]) =>
        lacks === ''
          ? []
          : [`${some.length} that need ${lacks}:\n  ${some.map(({ name }) => name).join(', ')}`],
      );
      console.info(
        `compared with TensorFlow.js: ${compared.length}\nskipped with it\n${lines.join('\n')}`,
      );
      const program = join(packageRoot(), 'dist/test/fidelity/published-tfjs.js');
      const found = compareCases('published_tfjs.py', [program], compared, {
        SA_ORCH_TFJS_NODE: process.env.SA_ORCH_TEST_TFJS,
      });
      expect(Object.fromEntries(found)).toEqual(
        Object.fromEntries(compared.map((name) => [name, null])),
      );
    },
    240_000,
  );

  test('most that runs there is computed here', () => {
    const refused = runs.filter((name) => 'problem' in resolved.get(name)!);
    expect(refused.length).toBeLessThanOrEqual(runs.length / 20);
  });
});
