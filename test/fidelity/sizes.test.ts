/**
 * What planning counts of an adapter on an encoder–decoder must be what the PyTorch trainer trains.
 *
 *   SA_ORCH_TEST_PYTHON  an interpreter with transformers
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { sweepConfigFrom } from '../../orchestrator/config/load';
import { backboneSizes } from '../../orchestrator/runtime/backbone-config';
import { adapterSizes, sum } from '../../orchestrator/sweep/budget';
import { planSweep } from '../../orchestrator/sweep/plan';
import type { PlannedBackbone, PlannedDataset } from '../../orchestrator/sweep/types';
import { jobSpecFor } from '../../orchestrator/trainer-client/spec';
import { askPython, testIf } from '../support/reference';
import { PYTHON_PATH } from '../support/trainers';

const { SA_ORCH_TEST_PYTHON: python } = process.env;
const real = testIf('fidelity of sizes', { SA_ORCH_TEST_PYTHON: python });

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-sizes-'));
beforeAll(() => {
  if (!python) return;
  const { status, stderr } = spawnSync(python, [join(__dirname, 'make_tiny.py'), folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(folder, { recursive: true }));

const XSUM = {
  ...{
    digest: 'd',
    task: 'xsum',
    kind: 'summarization',
    num_labels: 0,
    label_names: [],
    metrics: ['rouge2'],
    source: 'demo',
  },
  ...{
    splits: [{ name: 'train', file: null, rows: 8, of: 8, digest: 'd' }],
    tokenizer: 't',
    max_length: 8,
    rows: null,
  },
  validation_rows: null,
} as const satisfies Omit<PlannedDataset, 'label_names' | 'metrics' | 'splits'> &
  Record<string, unknown>;

/** One kind after the other, with what BART alone can have last. */
const ADAPTERS = [
  { kind: 'houlsby', bottleneck: 3 },
  { kind: 'parallel', bottleneck: 3, norm: 'after' },
  { kind: 'lora', bottleneck: 3 },
  { attention: 'lora', ffn: 'lora', bottleneck: 3 },
  { kind: 'prefix', bottleneck: 3, prefix_hidden: 0 },
  { kind: 'prefix', bottleneck: 3, prefix_hidden: 5 },
  { kind: 'mam', attention_bottleneck: 3, ffn_bottleneck: 4, prefix_hidden: 5 },
  { kind: 'prompt', bottleneck: 3 },
  { kind: 'pfeiffer', bottleneck: 3 },
  { kind: 'bitfit' },
];

real.each(['bart', 't5'])(
  'every adapter on %s has the weights that the trainer lays out',
  (family) => {
    const path = join(folder, family);
    const config = join(path, 'config.json');
    const sizes = backboneSizes(config, JSON.parse(readFileSync(config, 'utf8')));
    const backbone: PlannedBackbone = { name: family, path, digest: 'b', weights: 0, ...sizes };
    const compare = ADAPTERS.slice(0, family === 'bart' ? undefined : -2).map((adapter) => ({
      pruner: 'none',
      adapter,
    }));
    const settings = sweepConfigFrom('t', { tasks: 'xsum', seeds: 1, compare });
    const dataset = { ...XSUM, label_names: [], metrics: ['rouge2'], splits: [...XSUM.splits] };
    const plan = planSweep(settings, {
      backbone,
      datasets: [dataset],
      maxCohort: 1,
      defaultPrecision: 'float32',
      profileReason: null,
    });
    const specs = plan.cohorts.map((cohort) => {
      const spec = JobSpec.toJSON(jobSpecFor(plan, cohort, cohort.trials, 'prune')) as {
        trials: { adapter: unknown }[];
      };
      return { id: cohort.trials[0]!, adapter: spec.trials[0]!.adapter };
    });
    const theirs = askPython(
      python!,
      [join(__dirname, 'sizes_reference.py'), path],
      specs.map(({ adapter }) => adapter),
      { PYTHONPATH: PYTHON_PATH },
    );
    const ours = specs.map(({ id }) => {
      const { matrices, fixed } = adapterSizes(
        plan.trials.find((trial) => trial.id === id)!.adapter,
        backbone,
      );
      return [sum(matrices) + fixed, sum(matrices)];
    });
    expect(ours).toHaveLength(compare.length);
    expect(ours).toEqual(theirs);
  },
);
