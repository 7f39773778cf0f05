/** Settings of the worker in the environment, checked before it is started and read by it. */
import { WORKER_METRICS_FORMS, workerMetricsAddress } from './metrics-port';

/** A variable has a value that it cannot have. */
export class WrongSetting extends Error {
  readonly exitCode = 2;
}

export interface WorkerSettings {
  graceSeconds: number | undefined;
  fetchSeconds: number | undefined;
  /** An address with its port. */
  metrics: string | undefined;
}

/** @throws WrongSetting naming the variable */
export function readWorkerSettings(env: NodeJS.ProcessEnv = process.env): WorkerSettings {
  return {
    graceSeconds: readSeconds(env, 'SA_ORCH_TRAINER_GRACE', 1),
    fetchSeconds: readSeconds(env, 'SA_ORCH_FETCH_SECONDS', 0),
    metrics: readMetrics(env, 'SA_ORCH_METRICS_PORT'),
  };
}

function readSeconds(env: NodeJS.ProcessEnv, name: string, least: number): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= least && Number.isFinite(seconds)))
    throw new WrongSetting(`${name} is ${JSON.stringify(text)}, not a number ≥ ${least}`);
  return seconds;
}

function readMetrics(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const text = env[name];
  if (!text) return undefined;
  const address = workerMetricsAddress(text);
  if (address !== undefined) return address;
  throw new WrongSetting(`${name} is ${JSON.stringify(text)}, not ${WORKER_METRICS_FORMS}`);
}
