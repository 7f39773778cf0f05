/**
 * Demo rows for summarization: documents tell small events (see demo-events.ts), and summaries the
 * first one (xsum) or two (cnn_dailymail) of them.
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

/** Makes the rows of a split, always the same. */
export function makeDemoSummaries(task: SummaryTask, split: string): SummaryRow[] {
  const { random, draw } = openDrawing(task, split);
  return Array.from({ length: countDemoRows(split) }, (_, i): SummaryRow => {
    const events = drawDifferentEvents(draw);
    const document = events.map(tellPlainly).join(' ');
    // A wrong summary tells the last events.
    const told = random() < WRONG_LABELS ? events.toReversed() : events;
    return {
      row: i + 1,
      document,
      summary: told.slice(0, TOLD[task]).map(paraphrase).join('\n'),
    };
  });
}

/** The number of sentences per summary, each on its own line. */
const TOLD: Record<SummaryTask, number> = { xsum: 1, cnn_dailymail: 2 };
