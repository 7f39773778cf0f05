/** Keeps a report fresh without writing it after every cohort: a large one takes seconds. */
import { condition } from '@temporalio/workflow';

/** Cohorts that end within this time share a report. */
const PAUSE_MS = 5000;
/** The pause is at least this many times as long as the last report took. */
const PAUSE_FACTOR = 9;
/** But no longer than this: it may have taken long because it waited for a worker or a disk. */
const LONGEST_PAUSE_MS = 120_000;

export interface FreshReport {
  /** Has a report written soon. */
  change(): Promise<void>;
  /** Writes the last report. */
  finish(): Promise<void>;
}

/** Calls `write` after a change, but not while it pauses. whole: whether it is the last report. */
export function keepReportFresh(write: (whole: boolean) => Promise<void>): FreshReport {
  let changed = false;
  let finished = false;
  async function writeAfterChanges(): Promise<void> {
    for (;;) {
      await condition(() => changed || finished);
      if (finished) return;
      changed = false;
      const began = Date.now();
      await write(false);
      const pause = Math.max(PAUSE_MS, PAUSE_FACTOR * (Date.now() - began));
      await condition(() => finished, Math.min(pause, LONGEST_PAUSE_MS));
    }
  }
  const writing = writeAfterChanges();
  writing.catch(() => undefined); // finish() throws it
  return {
    change: () => {
      changed = true;
      return Promise.resolve();
    },
    finish: async () => {
      finished = true;
      await writing;
      await write(true);
    },
  };
}
