/**
 * Demo rows of summarization: small events told one after the other, see demo-events.ts; the first
 * (xsum) or two (cnn_dailymail) count.
 */
import {
  countDemoRows,
  drawDifferentEvents,
  openDrawing,
  paraphrase,
  tellPlainly,
  WRONG_LABELS,
} from '../../datasets/demo-events';
import type { SummaryTask } from './published';
import type { SummaryRow } from './texts';

/** The rows of a split, the same each time. */
export function makeDemoSummaries(task: SummaryTask, split: string): SummaryRow[] {
  const { random, draw } = openDrawing(task, split);
  return Array.from({ length: countDemoRows(split) }, (_, i): SummaryRow => {
    const events = drawDifferentEvents(draw);
    const document = events.map(tellPlainly).join(' ');
    // A wrong summary leaves out what counts.
    const told = random() < WRONG_LABELS ? events.toReversed() : events;
    return {
      row: i + 1,
      document,
      summary: told.slice(0, TOLD[task]).map(paraphrase).join('\n'),
    };
  });
}

/** Sentences of a summary, each on a line of its own. */
const TOLD: Record<SummaryTask, number> = { xsum: 1, cnn_dailymail: 2 };
