/**
 * Follows a sweep in the foreground until it ends. Ctrl-C detaches and leaves it running.
 */
import { existsSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { measureBaselines } from '../report/baselines';
import { renderTable } from '../report/table';
import { writeReport } from '../report/write';
import { beganWith } from '../store/asked';
import { sweepDir } from '../store/sweep-store';
import { countTrials } from '../sweep/search';
import type { TrialResult } from '../sweep/types';
import { planWarnings } from '../sweep/warnings';
import { follow } from './follow';
import { quoteWord } from '../base/shell-quote';
import { nothingAtStake, sweepGoesOn } from './lost-output';
import { printJson, printNote, printText } from './output';
import { INTERRUPTED } from './set-up';
import { nameState } from './sweep-end';

/** @param command the one that began the sweep */
const afterAStop = (command: string): string =>
  `  go on       the same \`sa-orch ${command}\`, once the cause is gone;\n` +
  '              --retry-failed reruns what failed, --max-failures 0 never stops';

/**
 * Draws progress, then the table. Sets the exit status: 0 if every trial is done, 1 otherwise.
 */
export async function attach(
  client: Client,
  { root, stateDir }: { root: string; stateDir: string },
  sweepId: string,
  json: boolean,
): Promise<void> {
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    sweepGoesOn(sweepId);
    const { state, detail, snapshot } = await follow(
      client,
      { root, stateDir },
      sweepId,
      json ? process.stderr : process.stdout,
      interrupt.signal,
    );
    const results = [...snapshot.results.values()];
    const done = results.filter(({ status }) => status === 'done').length;
    const report = `${sweepDir(root, sweepId)}/report.md`;
    const warnings = planWarnings(snapshot.plan);
    const named = state === 'out of service' ? state : nameState(state, snapshot.plan, results);
    const document = { sweep_id: sweepId, state: named, detail, warnings, results };
    if (interrupt.signal.aborted) {
      const goesOn =
        state === 'server out of reach'
          ? 'will continue once its server can be reached'
          : state === 'paused'
            ? 'stays paused'
            : 'keeps running';
      const id = quoteWord(sweepId);
      if (json) printJson({ ...document, report: existsSync(report) ? report : null });
      printNote(
        `\n${sweepId} ${goesOn} (${done} of ${countTrials(snapshot.plan)} trials done).\n` +
          `  follow it   sa-orch watch ${id}\n  end it      sa-orch cancel ${id}\n`,
      );
      // A script must not take the next step while the sweep is still running.
      process.exitCode = INTERRUPTED;
      return;
    }
    nothingAtStake();
    const isRight = ({ status }: TrialResult) => status === 'done' || status === 'stopped';
    const complete = results.filter(isRight).length === countTrials(snapshot.plan);
    // Somebody has removed it, or the worker that was to write it is gone.
    if (!existsSync(report)) await writeReport(snapshot.plan, results, root);
    if (json) printJson({ ...document, report });
    else {
      const baselines = measureBaselines(root, snapshot.plan);
      const { columns } = process.stdout;
      const table = renderTable(snapshot.plan, results, baselines, columns);
      printText(`\n${table}\n\nreport  ${report}\n`);
      if (state === 'stopped' && !complete) {
        const goOn = afterAStop(await beganWith(root, sweepId));
        printNote(`${sweepId} stopped: ${detail}\n${goOn}\n`);
      } else if (state !== 'finished' && !complete)
        printNote(`${sweepId} ${state}${detail ? `: ${detail}` : ''}\n`);
    }
    process.exitCode = complete ? 0 : 1;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    process.removeListener('SIGTERM', onInterrupt);
  }
}
