/** The process in which an engine runs: started by engine-runner.ts, and ends with its host. */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { writeWhenThereIsRoom } from '../../common/disk-space';
import { keepLogging } from '../../common/log-output';
import { withLock } from '../../common/lock-file';
import {
  FailureReason,
  type Environment,
  type Failure,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  Aborted,
  EngineFailure,
  Interrupted,
  NoSuchDevice,
  type Engine,
  type EngineEvent,
  type EngineModule,
  type JobContext,
} from './engine';
import { describeEnvironment } from './environment';
import type { EngineStart, FromEngine, Outcome, ToEngine } from './engine-messages';
import { log } from './log';
import { placeBackbone } from './placed-backbone';
import { holdTrials } from './trial-locks';

/** The host reports the time since the last move to about a second. */
const MS_BETWEEN_SIGNS = 250;

/** If the host is gone, this process ends, too. */
const tell = (message: FromEngine): void =>
  void process.send!(message, (error: Error | null) => error && process.exit(0));

class Run implements JobContext {
  checkpointAsked = false;
  private abortAsked = false;
  private lastSign = 0;

  constructor(
    readonly root: string,
    readonly environment: Environment,
  ) {}

  emit(event: EngineEvent): void {
    tell({ $case: 'event', event });
  }

  async breathe(): Promise<void> {
    const now = performance.now();
    if (now - this.lastSign >= MS_BETWEEN_SIGNS) {
      tell({ $case: 'moved' });
      this.lastSign = now;
    }
    await yieldToEvents();
    if (this.abortAsked) throw new Aborted('cancelled');
  }

  async writeWhenThereIsRoom<T>(path: string, write: () => T): Promise<T> {
    let hasWaited = false;
    const result = await writeWhenThereIsRoom(path, write, async (reason) => {
      hasWaited = true;
      tell({ $case: 'waiting', reason });
      await yieldToEvents();
      if (this.abortAsked) throw new Aborted('cancelled');
      // A checkpoint has no room either: the job will continue from the last one.
      if (this.checkpointAsked) throw new Interrupted(reason);
    });
    // Ends what it said about waiting.
    if (hasWaited) tell({ $case: 'moved' });
    return result;
  }

  stop(how: 'checkpoint' | 'abort'): void {
    if (how === 'abort') this.abortAsked = true;
    else this.checkpointAsked = true;
  }
}

async function runToOutcome(engine: Engine, spec: JobSpec, run: Run): Promise<Outcome> {
  try {
    run.emit({ $case: 'environment', value: run.environment });
    const placed = placeBackbone(run.root, spec);
    await holdTrials(placed, run, () => engine.run(placed, run));
    return { $case: 'done' };
  } catch (error) {
    if (error instanceof Interrupted) return { $case: 'interrupted' };
    if (error instanceof Aborted) return { $case: 'aborted' };
    return { $case: 'failed', failure: describeFailure(error) };
  }
}

function describeFailure(error: unknown): Failure {
  if (error instanceof EngineFailure) return error.failure();
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // V8 throws this if it cannot allocate memory for an array.
  if (error instanceof RangeError && error.message.includes('allocation failed')) {
    return {
      reason: FailureReason.FAILURE_REASON_OUT_OF_MEMORY,
      message: `out of memory (${what}); a smaller cohort may fit`,
    };
  }
  log('ERROR', error instanceof Error ? (error.stack ?? what) : what);
  return {
    reason: FailureReason.FAILURE_REASON_INTERNAL,
    message: `a fault in the trainer (see its log): ${what}`,
  };
}

async function serve({ module: path, root, device, threads }: EngineStart): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { createEngine } = require(path) as EngineModule;
  const engine = await createEngine({ root, device, threads });
  let run: Run | undefined;
  process.on('message', (message: ToEngine) => {
    if (message.$case === 'stop') {
      run?.stop(message.how);
      return;
    }
    const { spec } = message;
    run = new Run(root, describeEnvironment(engine.capabilities, spec));
    void runToOutcome(engine, spec, run).then((outcome) => tell({ $case: 'ended', outcome }));
  });
  tell({ $case: 'ready', capabilities: engine.capabilities });
  // The host ends this process, if only by ending itself.
  await new Promise<never>(() => undefined);
}

function main(start: EngineStart): void {
  keepLogging();
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C goes to the whole process group, but the host lets this process finish its step.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => undefined);
  const wait = ({ pid }: { pid: number }): void =>
    log('INFO', `waiting for the engine's earlier process, ${pid}, to end`);
  withLock(start.lock, wait, () => serve(start)).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    const isDevice = error instanceof NoSuchDevice;
    process.send!({ $case: 'broken', message, isDevice } satisfies FromEngine, () =>
      process.exit(1),
    );
  });
}

main(JSON.parse(process.argv[2]!) as EngineStart);
