/** The README.md of an export, in the form that the hub reads. */
import { computeMean } from '../report/statistics';
import { adapterLabel } from '../sweep/adapters';
import { findFamily } from '../tasks/registry';
import type { Exported, FormatName } from './export-format';
import { FORMATS } from './formats';
import { backboneId } from './open-backbone';
import type { TrainedTrial } from './trained-trial';

export function writeModelCard(
  trained: TrainedTrial,
  format: FormatName,
  exported: Pick<Exported, 'loading' | 'notes'>,
): string {
  const { trial, dataset, backbone, result } = trained;
  const { pruner, sparsity, structure } = trial.prune;
  const base = backboneId(backbone);
  const notes = [...exported.notes, ...describePrecision(trained)];
  return [
    '---',
    `base_model: ${JSON.stringify(base)}`,
    `library_name: ${FORMATS[format].library}`,
    'tags:',
    ...['sparse-adapter', ...(format === 'adapterhub' ? ['adapterhub'] : [])].map(
      (tag) => `  - ${tag}`,
    ),
    'metrics:',
    ...Object.keys(result.metrics).map((name) => `  - ${name}`),
    '---',
    '',
    `# ${adapterLabel(trial.adapter)} on ${dataset.task}`,
    '',
    `A sparse adapter for ${base}, exported from trial \`${trial.id}\` by sa-orch ` +
      `${result.provenance.sa_orch}.`,
    ...(dataset.source === 'demo'
      ? ['', '**Trained on generated demo rows: its numbers mean nothing.**']
      : []),
    '',
    '| | |',
    '|---|---|',
    `| task | ${dataset.task} (${dataset.kind.replaceAll('_', ' ')}) |`,
    ...(dataset.label_names.length > 0
      ? [`| classes, in the order of the logits | ${dataset.label_names.join(', ')} |`]
      : []),
    `| data | ${describeRows(trained)}; digest \`${dataset.digest}\` |`,
    `| backbone | ${base}; digest \`${backbone.digest}\` |`,
    `| mask | ${describeMask(trained, pruner, sparsity, structure)} |`,
    `| seed | ${trial.seed} |`,
    '',
    '## Metrics',
    '',
    ...describeMetrics(trained),
    '',
    '## Use',
    '',
    '```python',
    exported.loading,
    '```',
    ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []),
    '',
  ].join('\n');
}

function describePrecision({ trial }: TrainedTrial): string[] {
  return trial.precision === undefined
    ? []
    : [`The backbone was computed in ${trial.precision}, so float32 differs in the last digits.`];
}

const describeRows = ({ dataset }: TrainedTrial): string =>
  dataset.splits.map(({ name, rows }) => `${name} ${rows.toLocaleString('en')} rows`).join(', ');

function describeMask(
  { result, trial }: TrainedTrial,
  pruner: string,
  sparsity: number,
  structure: string,
): string {
  const { kept, trainable } = result.budget;
  const counts = `${kept.toLocaleString('en')} of ${trainable.toLocaleString('en')} weights kept`;
  if (pruner === 'none') return `dense: ${counts}`;
  const scope = `${trial.prune.scope} scope`;
  return `${pruner}, sparsity ${sparsity}, ${structure}, ${scope}: ${counts}; masks.safetensors`;
}

/** This trial's metrics with the rows they are of, and those of all seeds of its setting. */
function describeMetrics({ result, siblings, dataset }: TrainedTrial): string[] {
  const { words } = findFamily(dataset.kind);
  const rows = dataset.splits.find(({ name }) => name === 'validation')?.rows ?? 0;
  const seeds = siblings.map(({ seed }) => seed).sort((a, b) => a - b);
  const lines = Object.entries(result.metrics).map(([name, value]) => {
    const { mean, std } = computeMean(siblings.map(({ metrics }) => metrics[name]!))!;
    const spread = std === null ? '' : ` ± ${std.toFixed(4)}`;
    const title = words.metricTitles[name] ?? name;
    return `| ${title} | ${value.toFixed(4)} | ${mean.toFixed(4)}${spread} |`;
  });
  return [
    `| metric, validation | this trial (n = ${rows.toLocaleString('en')} rows) | ` +
      `mean ± std over n = ${seeds.length} seeds (${seeds.join(', ')}) |`,
    '|---|---:|---:|',
    ...lines,
  ];
}
