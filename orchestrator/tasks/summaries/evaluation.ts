/** Turns a trial's generated tokens into summaries, and these into ROUGE. */
import { ConfigError } from '../../base/errors';
import { readSafetensors } from '../../datasets/safetensors';
import { datasetPath } from '../../datasets/splits';
import { digestTokenizer } from '../../tokenizers/tokenizer';
import type { Evaluation, EvaluationRequest, TrialEvaluation } from '../family';
import type { SummaryDataset } from './dataset';
import { readStoredSummaries } from './files';
import { meanRouge, type Rouge } from './rouge';
import { loadSummaryTokenizer } from './tokenizer';

export const summaryEvaluation: Evaluation<SummaryDataset> = {
  evaluate: evaluateSummaries,
  countConfusions: () => [],
  measureBaseline: () => null,
};

/**
 * Decodes a trial's summaries of the validation documents and computes their ROUGE F1 in [0, 1], as
 * the mean over rows. Words are compared by stem, and rougeLsum takes each line as a sentence, so a
 * model that writes no line ends writes one sentence. Predictions are generated_ids int32 [tokens]
 * and generated_offsets int64 [rows + 1]. The file has one line per row: its number in the source,
 * and its summary.
 *
 * @throws ConfigError that names the directory if its tokenizer has changed since the sweep was
 *   planned
 */
async function evaluateSummaries({
  root,
  dataset,
  backbonePath,
  findPredictions,
}: EvaluationRequest<SummaryDataset>): Promise<TrialEvaluation> {
  const split = 'validation';
  const { columns } = dataset.summaries;
  if (digestTokenizer(backbonePath) !== dataset.tokenizer) {
    throw new ConfigError({
      where: backbonePath,
      message: 'its tokenizer has changed since the sweep was planned; start the sweep again',
    });
  }
  const references = readStoredSummaries(datasetPath(root, dataset.digest), split, columns);
  const written = await readWritten(
    findPredictions(split),
    references.length,
    dataset,
    backbonePath,
  );
  const rouge: Rouge = meanRouge(
    references.map(({ summary }, i) => ({ reference: summary, prediction: written[i]! })),
    { stemmer: true },
  );
  const empty = written.filter((text) => text === '').length;
  return {
    metrics: Object.fromEntries(dataset.metrics.map((name) => [name, rouge[name as keyof Rouge]])),
    warnings:
      empty === written.length ? [`empty_summaries: every summary of ${split} is empty`] : [],
    lines: {
      [`summaries.${split}.jsonl`]: references.map(({ row }, i) => ({ row, summary: written[i]! })),
    },
  };
}

/** The summaries of a file of predictions, one a row. */
export async function readWritten(
  predictions: string,
  rows: number,
  { max_length, summaries: { max_target_length } }: SummaryDataset,
  backbonePath: string,
): Promise<string[]> {
  const { decode } = await loadSummaryTokenizer(backbonePath, { max_length, max_target_length });
  return (await decode(readGenerated(predictions, rows))).map((text) => text.trim());
}

/** The tokens of each row. */
function readGenerated(path: string, rows: number): number[][] {
  const tensors = readSafetensors(path);
  const numbers = (name: string): number[] => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new ConfigError({
        where: path,
        message: `has no tensor ${name}; must be generated texts`,
      });
    return Array.from(tensor.data, Number);
  };
  const [ids, offsets] = [numbers('generated_ids'), numbers('generated_offsets')];
  if (offsets.length !== rows + 1 || offsets.at(-1) !== ids.length) {
    const found = `${offsets.length} values up to ${offsets.at(-1)} for ${ids.length} tokens`;
    throw new ConfigError({
      where: path,
      message: `generated_offsets has ${found}; must have ${rows + 1} that end with the tokens`,
    });
  }
  return offsets.slice(1).map((end, i) => ids.slice(offsets[i], end));
}
