/** Questions without answers: how they are read, and what is said of their predictions. */
import { extname } from 'node:path';
import { UserError } from '../../base/errors';
import type { Inputs } from '../inputs';
import type { QuestionDataset } from './dataset';
import { answerQuestions, chooseText } from './evaluation';
import { loadQaTokenizer } from './features';
import { writeQuestionSplit } from './files';
import { readUnanswered } from './own-tables';
import { encodeQuestions } from './source';
import { readSquad, type SquadExample } from './squad-json';

export const questionInputs: Inputs<QuestionDataset> = {
  help: {
    tasks: 'question answering',
    columns: "question and context, id if you like; or SQuAD's JSON",
    line: '{"id", "answer", "score"}; with unanswered questions also "span" and "no_answer"',
  },
  async writeFile(file, { folder, mark, dataset, backbonePath }) {
    const { questions, max_length } = dataset;
    const examples = await readAsked(file, dataset);
    const encode = await loadQaTokenizer(backbonePath, {
      max_length,
      stride: questions.doc_stride,
    });
    const split = `input-${mark}`;
    const chosen = await encodeQuestions(examples, encode, { name: split, file });
    await writeQuestionSplit(folder, split, chosen);
    return { split, rows: examples.length };
  },
  describe(predictions, { split }, { folder, dataset }) {
    const { examples, chosen } = answerQuestions(folder, split, predictions);
    const wrong = chosen.findIndex(({ finite }) => !finite);
    if (wrong !== -1) {
      const { id } = examples[wrong]!;
      throw new UserError(`the adapter's logits for question ${id} are NaN or infinite`, 1);
    }
    return examples.map(({ id }, i) => {
      const found = chosen[i]!;
      const { score, nonEmptyText: span, nonEmptyScore, noAnswerMargin } = found;
      const answer = { id, answer: chooseText(found, dataset) };
      if (!dataset.questions.no_answer) return { ...answer, score };
      return { ...answer, score: nonEmptyScore, span, no_answer: noAnswerMargin };
    });
  },
};

/** Answers that the file has are not read. */
function readAsked(
  file: string,
  { questions: { columns } }: QuestionDataset,
): Promise<SquadExample[]> | SquadExample[] {
  if (extname(file).toLowerCase() === '.json') return readSquad(file, 'unanswered');
  return readUnanswered(file, columns ?? { question: 'question', context: 'context' });
}
