/**
 * How fast a client drains a job's log of 100,000 events from a torch trainer, over WatchJob and a
 * unix socket. Prints JSON.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { TrainerPlace } from '../support/trainer-process';
import { PYTHON_PATH, REPOSITORY } from '../support/trainers';

const EVENTS = 100_000;
const RUNS = 3;

export interface WatchEvents {
  events: number;
  /** Events a second into the log, from the trainer's side. */
  written_per_s: number;
  /** Events a second out of it, run by run, each from the beginning. */
  watched_per_s: number[];
}

/** Needs SA_ORCH_TEST_PYTHON, an interpreter with the trainer's requirements. */
export async function watchEvents(): Promise<WatchEvents> {
  const python = process.env.SA_ORCH_TEST_PYTHON;
  if (!python) throw new Error('SA_ORCH_TEST_PYTHON names no interpreter');
  const place = new TrainerPlace();
  try {
    const script = join(REPOSITORY, 'trainer/torch/bench/fill_event_log.py');
    const env = { ...process.env, PYTHONPATH: PYTHON_PATH };
    const filled = execFileSync(python, [script, join(place.folder, 'state'), String(EVENTS)], {
      env,
      encoding: 'utf8',
    });
    const { job_id, events, written_per_s } = JSON.parse(filled) as {
      job_id: string;
      events: number;
      written_per_s: number;
    };
    const { client } = await place.start();
    const watched_per_s: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const started = performance.now();
      let seen = 0;
      for await (const { payload } of client.watchJob(job_id))
        if (payload?.$case === 'event') seen++;
      if (seen !== events) throw new Error(`${seen} of ${events} events came`);
      watched_per_s.push(Math.round((seen * 1000) / (performance.now() - started)));
    }
    return { events, written_per_s, watched_per_s };
  } finally {
    await place.remove();
  }
}

if (require.main === module) {
  watchEvents().then(
    (result) => console.log(JSON.stringify(result)),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
