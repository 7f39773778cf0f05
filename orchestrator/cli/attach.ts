/**
 * Follows a sweep in the foreground until it ends. Ctrl-C detaches and leaves it running.
 */
import type { Client } from '@temporalio/client';
import { measureBaselines } from '../report/baselines';
import { renderTable } from '../report/table';
import { sweepDir } from '../store/sweep-store';
import { planWarnings } from '../sweep/warnings';
import { follow } from './follow';
import { printJson } from './output';

/**
 * The conventional exit status after SIGINT: a script must not take the next step while the sweep
 * is still running.
 */
const INTERRUPTED = 130;

const AFTER_A_STOP =
  '  go on       the same `sa-orch start`, once the cause is gone;\n' +
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
    if (interrupt.signal.aborted) {
      const goesOn =
        state === 'server out of reach'
          ? 'will continue once its server can be reached'
          : 'keeps running';
      process.stderr.write(
        `\n${sweepId} ${goesOn} (${done} of ${snapshot.plan.trials.length} trials done).\n`,
      );
      process.stderr.write(
        `  follow it   sa-orch watch ${sweepId}\n  end it      sa-orch cancel ${sweepId}\n`,
      );
      process.exitCode = INTERRUPTED;
      return;
    }
    const complete = done === snapshot.plan.trials.length;
    const warnings = planWarnings(snapshot.plan);
    if (json) printJson({ sweep_id: sweepId, state, detail, report, warnings, results });
    else {
      const table = renderTable(snapshot.plan, results, measureBaselines(root, snapshot.plan));
      process.stdout.write(`\n${table}\n\nreport  ${report}\n`);
      if (state !== 'finished' && !complete)
        process.stderr.write(`${sweepId} ${state}${detail ? `: ${detail}` : ''}\n`);
      if (state === 'stopped' && !complete) process.stderr.write(`${AFTER_A_STOP}\n`);
    }
    process.exitCode = complete ? 0 : 1;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    process.removeListener('SIGTERM', onInterrupt);
  }
}
