/**
 * Runs jobs with a trainer's engine, without a server: a program that reads `{root, spec}` lines of
 * JSON and answers each with the job's events, or with the failure of the job. `node
 * dist/test/support/run-engine.js <engine module>`.
 */
import { createInterface } from 'node:readline';
import { Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  EngineFailure,
  Interrupted,
  type EngineEvent,
  type EngineModule,
} from '../../trainer/host/engine';

interface Request {
  root: string;
  /** A JobSpec's JSON. */
  spec: unknown;
  /** Asks for a checkpoint and a stop once so many events have been told. */
  stopAfterEvents?: number;
}

export interface Answer {
  /** Events' JSON. */
  events: unknown[];
  failure?: string;
  interrupted?: boolean;
  /** Tensors that TensorFlow.js holds after the job. */
  tensors?: number;
}

async function main(): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- named on the command line
  const module = require(process.argv[2]!) as EngineModule;
  const engine = await module.createEngine({ root: '/', device: 'cpu', threads: 2 });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    process.stdout.write(`${JSON.stringify(await answer(request))}\n`);
  }

  async function answer({ root, spec, stopAfterEvents }: Request): Promise<Answer> {
    const events: unknown[] = [];
    const emit = (kind: EngineEvent): void => {
      events.push(Event.toJSON({ sequence: events.length + 1, logId: '', time: undefined, kind }));
    };
    const context = {
      root,
      emit,
      breathe: () => Promise.resolve(),
      writeWhenThereIsRoom: <T>(_: string, write: () => T) => Promise.resolve(write()),
      get checkpointAsked() {
        return stopAfterEvents !== undefined && events.length >= stopAfterEvents;
      },
    };
    try {
      await engine.run(JobSpec.fromJSON(spec), context);
      return { events, tensors: liveTensors() };
    } catch (error) {
      if (error instanceof Interrupted) return { events, interrupted: true };
      if (error instanceof EngineFailure) return { events, failure: error.message };
      throw error;
    }
  }
}

/** How many tensors TensorFlow.js holds; undefined for another engine. */
function liveTensors(): number | undefined {
  const path = process.env.SA_ORCH_TFJS_NODE;
  if (path === undefined) return undefined;
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the engine's own copy
  return (require(path) as typeof import('@tensorflow/tfjs-core')).memory().numTensors;
}

void main();
