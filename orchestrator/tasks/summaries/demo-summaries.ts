/**
 * Demo rows of summarization, as those of demo.ts: small events told one after the other; the first
 * (xsum) or two (cnn_dailymail) count.
 */
import {
  drawing,
  paraphrase,
  plain,
  TRAIN_ROWS,
  VALIDATION_ROWS,
  WRONG_LABELS,
} from '../rows/demo-rows';
import { differentEvents } from '../questions/demo-questions';
import type { SummaryRow } from './texts';
import type { SummaryTask } from './published';

/** The rows of a split, the same each time. */
export function demoSummaries(task: SummaryTask, split: string): SummaryRow[] {
  const { random, draw } = drawing(task, split);
  return Array.from(
    { length: split === 'train' ? TRAIN_ROWS : VALIDATION_ROWS },
    (_, i): SummaryRow => {
      const events = differentEvents(draw);
      const document = events.map(plain).join(' ');
      // A wrong summary leaves out what counts.
      const told = random() < WRONG_LABELS ? events.toReversed() : events;
      return {
        row: i + 1,
        document,
        summary: told.slice(0, TOLD[task]).map(paraphrase).join('\n'),
      };
    },
  );
}

/** Sentences of a summary, each on a line of its own. */
const TOLD: Record<SummaryTask, number> = { xsum: 1, cnn_dailymail: 2 };
