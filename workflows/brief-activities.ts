/**
 * Activities of milliseconds: a few files, or one signal. Run within the workflow task that asks
 * for them, they cost one event instead of six, and no further task. One that fails there becomes
 * an ordinary activity, which is retried, and which people can see.
 */
import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from './activities';

const NAMES = [
  'pendingTrials',
  'askForTrainer',
  'withdrawRequest',
  'releaseTrainer',
  'tellPlaced',
  'tellGranted',
  'tellRevoked',
] as const;
type Brief = Pick<Activities, (typeof NAMES)[number]>;

const ordinary = proxyActivities<Brief>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});
const within = proxyLocalActivities<Brief>({
  // A workflow task may take 10.
  startToCloseTimeout: '5 seconds',
  retry: { maximumAttempts: 1 },
});

/** isWithin: false in workflows of an earlier version, where all activities were ordinary ones. */
export const briefActivities = (isWithin: boolean): Brief => (isWithin ? firstWithin : ordinary);

const firstWithin = Object.fromEntries(NAMES.map((name) => [name, callWithin(name)])) as Brief;

function callWithin(name: keyof Brief) {
  type Call = (...input: unknown[]) => Promise<unknown>;
  return async (...input: unknown[]): Promise<unknown> => {
    try {
      return await (within[name] as Call)(...input);
    } catch {
      return (ordinary[name] as Call)(...input);
    }
  };
}
