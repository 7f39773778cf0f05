/**
 * Every export, loaded by the library that it is for with the code of its model card, gives the
 * trial's own logits; and what a format cannot hold is refused.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import { seededRandom } from '../../orchestrator/base/seeded-random';
import { UserError } from '../../orchestrator/base/errors';
import { completeAdapter } from '../../orchestrator/config/adapter';
import { FORMAT_NAMES, type FormatName } from '../../orchestrator/export/export-format';
import { findFinished, readTrained } from '../../orchestrator/export/trained-trial';
import { writeExport } from '../../orchestrator/export/write-export';
import { describeBackbone } from '../../orchestrator/runtime/backbone-files';
import { writePlan } from '../../orchestrator/store/plan-store';
import { writeResult } from '../../orchestrator/store/sweep-store';
import type { Plan, PlannedBackbone, PlannedDataset } from '../../orchestrator/sweep/types';
import { jobSpecFor } from '../../orchestrator/trainer-client/spec';
import { askPython, testIf } from '../support/reference';
import { writeTinyBackbone } from '../support/tiny-backbone';
import { writeTinyBart } from '../support/tiny-bart';
import { writeTinyT5 } from '../support/tiny-t5';
import { buildResult } from '../unit/support/results';
import { dataset, prune } from '../unit/support/plans';
import { plannedTrial } from '../unit/support/tiny-plan';

const {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_PEFT: peft,
  SA_ORCH_TEST_ADAPTERS: adapters,
} = process.env;
const testLoaded = testIf('what exports give in other libraries', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_PEFT: peft,
  SA_ORCH_TEST_ADAPTERS: adapters,
});

type Kind = 'classification' | 'regression' | 'question_answering' | 'summarization';
type Keys = Parameters<typeof completeAdapter>[0];
type Family = 'bert' | 'roberta' | 'bart' | 't5' | 'gated';

const BOTTLENECKS: Record<string, Keys> = {
  houlsby: { kind: 'houlsby', bottleneck: 8, scale: 2, activation: 'swish' },
  'houlsby of two widths': { kind: 'houlsby', attention_bottleneck: 8, ffn_bottleneck: 4 },
  'houlsby, norm after': { kind: 'houlsby', bottleneck: 7, norm: 'after', activation: 'gelu' },
  'houlsby without norm': { kind: 'houlsby', bottleneck: 8, norm: 'none' },
  parallel: { kind: 'parallel', bottleneck: 8, scale: 4 },
  'parallel, norm after': { kind: 'parallel', bottleneck: 8, norm: 'after', scale: 0.5 },
  mixed: { attention: 'sequential', ffn: 'parallel', bottleneck: 6 },
};
const AFTER_NORM: Record<string, Keys> = {
  pfeiffer: { kind: 'pfeiffer', bottleneck: 8 },
  'pfeiffer, norm after': { kind: 'pfeiffer', bottleneck: 8, norm: 'after' },
};
const LOW_RANK: Record<string, Keys> = {
  lora: { kind: 'lora', bottleneck: 8, lora_alpha: 12 },
  'lora everywhere': { attention: 'lora', ffn: 'lora', attention_bottleneck: 8, ffn_bottleneck: 6 },
  'lora and parallel': { attention: 'lora', ffn: 'parallel', bottleneck: 6 },
};
const TOKENS: Record<string, Keys> = {
  prefix: { kind: 'prefix', bottleneck: 5, prefix_hidden: 0 },
  'prefix with its MLP': { kind: 'prefix', bottleneck: 5, prefix_hidden: 9 },
  mam: { kind: 'mam', attention_bottleneck: 3, ffn_bottleneck: 8 },
  prompt: { kind: 'prompt', bottleneck: 4 },
};
const BIASES: Record<string, Keys> = { bitfit: { kind: 'bitfit' } };
const OWN: Record<string, Keys> = { full: { kind: 'full' }, 'head only': { kind: 'head_only' } };
/** Tensors of the backbone that train by name, beside the modules of a form. */
const BY_NAME: Record<string, { keys: Keys; unfrozen_tensors: string[] }> = {
  'biases by name': { keys: { kind: 'head_only' }, unfrozen_tensors: ['*.bias'] },
  'lora and norms by name': {
    keys: { kind: 'lora', bottleneck: 4 },
    unfrozen_tensors: ['*norm.*', 'layers.1.query.weight'],
  },
};
const ALL = { ...BOTTLENECKS, ...AFTER_NORM, ...LOW_RANK, ...TOKENS, ...BIASES, ...OWN };

/** Which formats hold each form, as people read it in docs/use-an-adapter.md. */
function holders(family: Family, form: string, kind: Kind): FormatName[] {
  const own = (...names: FormatName[]): FormatName[] => [...names, 'safetensors'];
  if (['lora', 'lora everywhere'].includes(form)) return own('peft', 'adapterhub', 'merged');
  if (form === 'bitfit') return own('peft', 'merged');
  if (form in OWN || form in BY_NAME) return own('merged');
  const isT5 = family === 't5' || family === 'gated';
  if (form === 'prompt') {
    if (isT5) return own('peft');
    return family === 'bart' || kind === 'question_answering' ? own() : own('adapterhub');
  }
  const reads = form.includes('parallel') || form === 'mixed' || form === 'mam';
  return isT5 && (reads || form.startsWith('prefix')) ? own() : own('adapterhub');
}

interface Case {
  family: Family;
  kind: Kind;
  form: string;
  keys: Keys;
  /** Units that are gone in every module. */
  gone: number[];
}

const GONE = [0, 2, 5];
const CASES: Case[] = [
  ...Object.entries(ALL).map(([form, keys]) => of('bert', 'classification', form, keys)),
  ...Object.entries(ALL).map(([form, keys]) => of('roberta', 'regression', form, keys, GONE)),
  ...['houlsby', 'lora', 'prefix', 'prompt', 'bitfit'].map((form) =>
    of('bert', 'question_answering', form, ALL[form]!),
  ),
  ...Object.entries(BY_NAME).flatMap(([form, { keys }]) => [
    of('bert', 'question_answering', form, keys),
    of('roberta', 'classification', form, keys),
  ]),
  ...Object.entries({ ...BOTTLENECKS, ...AFTER_NORM, ...LOW_RANK, ...TOKENS, ...BIASES }).map(
    ([form, keys]) => of('bart', 'summarization', form, keys, form === 'mam' ? GONE : []),
  ),
  ...(['t5', 'gated'] as const).flatMap((family) =>
    Object.entries({ ...BOTTLENECKS, ...LOW_RANK, ...TOKENS }).map(([form, keys]) =>
      of(family, 'summarization', form, keys, family === 't5' ? GONE : []),
    ),
  ),
];

function of(family: Family, kind: Kind, form: string, keys: Keys, gone: number[] = []): Case {
  return { family, kind, form, keys, gone };
}

const LABELS = { classification: 3, regression: 1, question_answering: 2, summarization: 0 };
const VOCABULARY = 120;

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sa-orch-exports-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function makeBackbone(family: Family): Promise<PlannedBackbone> {
  const path = join(folder, 'backbones', family);
  if (family === 'bart') writeTinyBart(path);
  else if (family === 't5' || family === 'gated') writeTinyT5(path, family === 'gated');
  else writeTinyBackbone(path, family, VOCABULARY);
  writeFileSync(join(path, 'vocab.txt'), '[PAD]\n[UNK]\n[CLS]\n[SEP]\n');
  return describeBackbone(path, path);
}

function makeDataset(root: string, kind: Kind): PlannedDataset {
  const random = seededRandom(9);
  const draw = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const ragged = (rows: number, least: number, most: number) => {
    const lengths = Array.from({ length: rows }, () => draw(least, most));
    const offsets = [0];
    for (const length of lengths) offsets.push(offsets.at(-1)! + length);
    const tokens = Int32Array.from({ length: offsets.at(-1)! }, () => draw(5, VOCABULARY - 1));
    return { tokens, offsets: BigInt64Array.from(offsets, BigInt) };
  };
  const rows = 6;
  const vector = (data: Tensor['data']): Tensor => ({ shape: [data.length], data });
  const texts = ragged(rows, 3, 20);
  const split: Record<string, Tensor> = {
    input_ids: vector(texts.tokens),
    offsets: vector(texts.offsets),
    token_type_ids: vector(Uint8Array.from(texts.tokens, (_, i) => i % 2)),
  };
  if (kind === 'summarization') {
    const targets = ragged(rows, 2, 9);
    split.target_ids = vector(targets.tokens);
    split.target_offsets = vector(targets.offsets);
  } else if (kind === 'question_answering') {
    split.start_positions = split.end_positions = vector(new Int32Array(rows));
  } else {
    split.labels = vector(kind === 'regression' ? new Float32Array(rows) : new Int32Array(rows));
  }
  const digest = kind.replaceAll('_', '');
  mkdirSync(join(root, 'datasets', digest), { recursive: true });
  const file = join(root, 'datasets', digest, 'validation.safetensors');
  writeFileSync(file, encodeSafetensors(split));
  return {
    ...dataset('mrpc', { validation: rows }),
    digest,
    kind,
    num_labels: LABELS[kind],
    label_names: kind === 'classification' ? ['no', 'perhaps', 'yes'] : [],
  };
}

/** An artifact root with a finished trial for each case, and the jobs that predict with them. */
async function makeTrials(root: string): Promise<{ id: string; spec: JobSpec; case: Case }[]> {
  const found: { id: string; spec: JobSpec; case: Case }[] = [];
  const families = [...new Set(CASES.map(({ family }) => family))];
  for (const family of families) {
    const planned = await makeBackbone(family);
    const cases = CASES.filter((each) => each.family === family);
    const datasets = [...new Set(cases.map(({ kind }) => kind))].map((kind) =>
      makeDataset(root, kind),
    );
    const trials = cases.map(({ kind, form, keys }, i) =>
      plannedTrial(`t${family}${i}`, {
        dataset: datasets.find((each) => each.kind === kind)!.digest,
        backbone: planned.digest,
        adapter: {
          ...completeAdapter(keys),
          ...(form in BY_NAME ? { unfrozen_tensors: BY_NAME[form]!.unfrozen_tensors } : {}),
        },
        prune: prune(),
      }),
    );
    const plan: Plan = {
      format: 3,
      sweep_id: `${family}-00000000`,
      name: family,
      profile: null,
      profile_reason: null,
      backbone: planned,
      datasets,
      trials,
      cohorts: trials.map(({ id, dataset }) => ({ id: `c${id}`, dataset, trials: [id] })),
    };
    await writePlan(root, plan);
    for (const [i, trial] of trials.entries()) {
      await writeResult(root, plan.sweep_id, buildResult(plan, trial, {}));
      const spec = jobSpecFor(plan, plan.cohorts[i]!, [trial.id], 'predict', {
        splits: ['validation'],
      });
      found.push({ id: trial.id, spec, case: cases[i]! });
    }
  }
  return found;
}

const describeCase = ({ family, kind, form }: Case, format: FormatName): string =>
  `${family}, ${kind}: ${form} as ${format}`;

testLoaded('each format gives a trial’s own logits, or is refused by name', async () => {
  const root = join(folder, 'checkpoints');
  const trials = await makeTrials(root);
  const jobs = trials.map(({ spec, case: { gone } }) => ({
    root,
    spec: JobSpec.toJSON(spec),
    gone,
  }));
  askPython(python!, [join(__dirname, 'export_reference.py')], jobs);

  const asked: Record<FormatName, { name: string; line: object }[]> = {
    peft: [],
    adapterhub: [],
    merged: [],
    safetensors: [],
  };
  for (const { id, case: each } of trials) {
    const trained = await readTrained(await findFinished(root, id));
    const able = holders(each.family, each.form, each.kind);
    for (const format of FORMAT_NAMES) {
      const out = join(folder, 'exports', `${id}-${format}`);
      if (!able.includes(format)) {
        const refused = writeExport(trained, format, out);
        await expect(refused).rejects.toBeInstanceOf(UserError);
        await expect(refused).rejects.toThrow(/cannot be exported as .*; --format .* can hold it$/);
        continue;
      }
      await writeExport(trained, format, out);
      const trial = join(root, 'trials', id);
      const expected =
        each.kind === 'summarization' ? 'logits.safetensors' : 'predictions.validation.safetensors';
      asked[format].push({
        name: describeCase(each, format),
        line: {
          folder: out,
          dataset: join(root, 'datasets', trained.dataset.digest, 'validation.safetensors'),
          kind: each.kind,
          expected: join(trial, expected),
          base: null,
        },
      });
    }
  }
  const check = (of: readonly { name: string; line: object }[], packages: string): void => {
    const answers = askPython(
      python!,
      [join(__dirname, 'check_exports.py')],
      of.map(({ line }) => line),
      { PYTHONPATH: packages, HF_HUB_OFFLINE: '1' },
    ) as { difference: number | string }[];
    const wrong = answers.flatMap(({ difference }, i) =>
      typeof difference === 'number' && difference <= 1e-5 ? [] : [[of[i]!.name, difference]],
    );
    expect(wrong).toEqual([]);
  };
  check([...asked.peft, ...asked.merged], peft!);
  check(asked.adapterhub, adapters!);

  rmSync(join(folder, 'backbones', 'bart'), { recursive: true });
  const bart = trials.find(({ case: { family, form } }) => family === 'bart' && form === 'lora')!;
  const trained = await readTrained(await findFinished(root, bart.id));
  const without = writeExport(trained, 'merged', join(folder, 'exports', 'none'));
  await expect(without).rejects.toThrow(/^backbone .* is missing: .*bart has no config.json$/);
});
