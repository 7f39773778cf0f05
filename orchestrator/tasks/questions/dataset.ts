import type { PlannedDataset } from '../../sweep/types';

/** The columns of the user's own tables that make a question. */
export interface QuestionColumns {
  question: string;
  context: string;
  answer: string;
  /** Where the answer begins in the context; null where the answer says it by itself. */
  answer_start: string | null;
}

/** How questions are read, cut into windows and scored. */
export interface PlannedQuestions {
  /** Tokens of a context that neighbouring windows share. */
  doc_stride: number;
  /** Whether questions may have no answer: the rules of SQuAD v2.0, else those of v1.1. */
  no_answer: boolean;
  /** Of tables of the user's own; absent for SQuAD's JSON. */
  columns?: QuestionColumns;
}

/** A planned data set of questions about contexts. */
export interface QuestionDataset extends PlannedDataset {
  kind: 'question_answering';
  questions: PlannedQuestions;
}
