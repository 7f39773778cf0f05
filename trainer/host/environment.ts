/**
 * What computes a job, and its record in the files that the job makes: under `environments` in
 * their safetensors metadata, as a JSON list of Environment of event.proto, in order.
 */
import { isDeepStrictEqual } from 'node:util';
import { Environment } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { Precision, type JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { badArtifact, readMetadata } from './artifacts';
import type { EngineCapabilities } from './engine';
import { readPrecision } from './precision';

export function describeEnvironment(
  { framework, frameworkVersion, devices, environment }: EngineCapabilities,
  spec: JobSpec,
): Environment {
  const { kind, name } = devices[0]!;
  return {
    framework,
    frameworkVersion,
    device: kind,
    deviceName: name,
    // Masks are made in float32, whatever the precision of training.
    precision: spec.work!.$case === 'prune' ? Precision.PRECISION_FLOAT32 : readPrecision(spec),
    details: environment,
  };
}

/** What made a trial's work so far, and what continues it. */
export function continueIn(before: readonly Environment[], now: Environment): Environment[] {
  return isDeepStrictEqual(before.at(-1), now) ? [...before] : [...before, now];
}

/** The metadata of a file that these made. */
export function toMetadata(environments: readonly Environment[]): Record<string, string> {
  return { environments: JSON.stringify(environments.map((each) => Environment.toJSON(each))) };
}

/**
 * What made a safetensors file. One unknown environment if the file does not say so, as those of
 * older trainers. Throws EngineFailure (BAD_ARTIFACT) if it cannot be read.
 */
export function readEnvironments(path: string): Environment[] {
  const { environments } = readMetadata(path);
  if (environments === undefined) return [Environment.create()];
  try {
    return (JSON.parse(environments) as unknown[]).map((each) => Environment.fromJSON(each));
  } catch (error) {
    const why = (error as Error).message;
    throw badArtifact(`${path}: environments in its metadata cannot be read: ${why}`);
  }
}
