/**
 * The files of a prepared split of questions. In addition to what a trainer reads (Dataset in
 * job.proto) they contain:
 *
 *   <split>.safetensors      the way back to text, one feature per row:
 *     example_index int32 [rows]                the line of its question
 *     context_begin int32 [rows]                the index of the row's first context token
 *     character_begins, character_ends int32 [context tokens]
 *                                               the place of each of these tokens in the context
 *                                               (UTF-16 units)
 *     character_offsets int64 [rows + 1]        where each row begins among these tokens
 *   <split>.examples.jsonl   one question per line: id, context, answers (texts with their starts,
 *                            in UTF-16 units)
 */
import { join } from 'node:path';
import { ConfigError } from '../../base/errors';
import { writeDurably } from '../../../common/durable-files';
import { chooseSplitRows, findSplitSource } from '../../datasets/hold-out';
import { joinRows, makeOffsets, makeTokenTensors } from '../../datasets/ragged';
import { encodeSafetensors, readSafetensors, type Tensor } from '../../datasets/safetensors';
import { readLines } from '../../tables/text';
import type { DatasetFiles } from '../family';
import type { QuestionDataset } from './dataset';
import { loadQaTokenizer, type QaFeature } from './features';
import {
  digestQuestions,
  encodeQuestions,
  groupOfQuestion,
  readQuestions,
  type ChosenQuestions,
} from './source';
import type { SquadExample } from './squad-json';

export const questionFiles: DatasetFiles<QuestionDataset> = {
  async openSplits(dataset, backbonePath) {
    const { questions, max_length } = dataset;
    const encode = await loadQaTokenizer(backbonePath, {
      max_length,
      stride: questions.doc_stride,
    });
    return {
      digest: (split) => digestQuestions(questions, findSplitSource(dataset, split)),
      read: async (split) => {
        const all = await readQuestions(questions, findSplitSource(dataset, split));
        return async (folder) => {
          const examples = chooseSplitRows(all, split, dataset, groupOfQuestion);
          const chosen = await encodeQuestions(examples, encode, split);
          const counts = await writeQuestionSplit(folder, split.name, chosen);
          return {
            name: split.name,
            rows: chosen.examples.length,
            features: chosen.features.length,
            ...counts,
            truncated: 0,
          };
        };
      },
    };
  },
  describe: ({ questions }) => ({ questions }),
};

export type StoredExample = Pick<SquadExample, 'id' | 'context' | 'answers'>;
/** The part of a feature that evaluation needs. */
export type StoredFeature = Pick<QaFeature, 'example' | 'contextBegin' | 'begins' | 'ends'> & {
  /** The row's range among the split's tokens: [from, to). */
  from: number;
  to: number;
};

const locateSafetensors = (folder: string, split: string) => join(folder, `${split}.safetensors`);
const locateExamples = (folder: string, split: string) => join(folder, `${split}.examples.jsonl`);

/** Writes a split and counts its tokens, in total and in the longest row. */
export async function writeQuestionSplit(
  folder: string,
  split: string,
  { examples, features }: ChosenQuestions,
): Promise<{ tokens: number; longest: number }> {
  const { tensors, ...counts } = makeTokenTensors(features);
  const eachRow = (value: (feature: QaFeature) => number) =>
    joinRows(features.map((feature) => [value(feature)]));
  const all: Record<string, Tensor> = {
    ...tensors,
    start_positions: eachRow(({ startPosition }) => startPosition),
    end_positions: eachRow(({ endPosition }) => endPosition),
    example_index: eachRow(({ example }) => example),
    context_begin: eachRow(({ contextBegin }) => contextBegin),
    character_begins: joinRows(features.map(({ begins }) => begins)),
    character_ends: joinRows(features.map(({ ends }) => ends)),
    character_offsets: makeOffsets(features.map(({ begins }) => begins.length)),
  };
  await writeDurably(locateSafetensors(folder, split), encodeSafetensors(all));
  const lines = examples.map(
    ({ id, context, answers }) =>
      `${JSON.stringify({ id, context, answers } satisfies StoredExample)}\n`,
  );
  await writeDurably(locateExamples(folder, split), lines.join(''));
  return counts;
}

/**
 * Reads a split back.
 *
 * @throws ConfigError that names the file if one is missing or broken
 */
export function readQuestionSplit(
  folder: string,
  split: string,
): { examples: StoredExample[]; features: StoredFeature[] } {
  const path = locateSafetensors(folder, split);
  const tensors = readSafetensors(path);
  const numbers = (name: string): number[] => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new ConfigError({
        where: path,
        message: `has no tensor ${name}; must be a split of questions`,
      });
    return Array.from(tensor.data, Number);
  };
  const [offsets, characterOffsets] = [numbers('offsets'), numbers('character_offsets')];
  const [begins, ends] = [numbers('character_begins'), numbers('character_ends')];
  const [example, contextBegin] = [numbers('example_index'), numbers('context_begin')];
  return {
    examples: readLines(locateExamples(folder, split)).map(
      (line) => JSON.parse(line) as StoredExample,
    ),
    features: example.map((index, row) => ({
      example: index,
      contextBegin: contextBegin[row]!,
      begins: begins.slice(characterOffsets[row], characterOffsets[row + 1]),
      ends: ends.slice(characterOffsets[row], characterOffsets[row + 1]),
      from: offsets[row]!,
      to: offsets[row + 1]!,
    })),
  };
}
