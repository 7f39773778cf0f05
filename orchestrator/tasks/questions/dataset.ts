import type { PlannedDataset } from '../../sweep/types';

/** The columns of the user's own tables that form a question. */
export interface QuestionColumns {
  question: string;
  context: string;
  answer: string;
  /** Where the answer begins in the context; null if its text alone determines that. */
  answer_start: string | null;
}

/** How questions are read, split into windows and scored. */
export interface PlannedQuestions {
  /** Number of context tokens that neighbouring windows share. */
  doc_stride: number;
  /** Whether questions may have no answer (rules of SQuAD v2.0, else of v1.1). */
  no_answer: boolean;
  /** For the user's own tables; absent for SQuAD's JSON. */
  columns?: QuestionColumns;
}

/** A planned data set of questions about contexts. */
export interface QuestionDataset extends PlannedDataset {
  kind: 'question_answering';
  questions: PlannedQuestions;
}
