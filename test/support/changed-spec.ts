/** Specifications that differ from a good one in named fields. */
import * as contract from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { PREDICT, train } from './jobs';

/**
 * New values by the fields' paths in the contract's names (`trials[0].prune.sparsity`): a value of
 * an enumeration by its name, `NaN` and `Infinity` in quotes. A field of `train` or `predict` makes
 * the job one of that work; `work: null` leaves it without any.
 */
export type Changes = Record<string, unknown>;

export function changedSpec(spec: JobSpec, changes: Changes): JobSpec {
  const changed = structuredClone(spec);
  for (const [path, value] of Object.entries(changes)) {
    const [first = '', ...rest] = path.split(/[.[\]]+/).filter((part) => part !== '');
    if (first === 'work') changed.work = undefined;
    else if (first === 'train' || first === 'predict') set(findWork(changed, first), rest, value);
    else set(changed, [first, ...rest], value);
  }
  return changed;
}

function findWork(spec: JobSpec, kind: 'train' | 'predict'): object {
  if (spec.work?.$case !== kind) spec.work = kind === 'train' ? train() : structuredClone(PREDICT);
  return spec.work!.value;
}

function set(message: object, path: string[], value: unknown): void {
  const name = (path[0] ?? '').replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const fields = message as Record<string, unknown>;
  if (!(name in fields)) throw new Error(`the contract has no field ${path.join('.')}`);
  if (path.length === 1) fields[name] = readValue(value);
  else set(fields[name] as object, path.slice(1), value);
}

function readValue(written: unknown): unknown {
  if (typeof written !== 'string') return written;
  if (written === 'NaN' || written === 'Infinity') return Number(written);
  const enumerations = Object.values(contract).filter(
    (each): each is never => typeof each === 'object' && written in each,
  );
  return enumerations.length === 0 ? written : enumerations[0]![written];
}

/** What an enumeration of the contract allows, as messages list it. */
export function namesIn(enumeration: string): string {
  const values = (contract as unknown as Record<string, Record<string, number>>)[enumeration];
  if (values === undefined) throw new Error(`the contract has no enumeration ${enumeration}`);
  return Object.keys(values)
    .filter((name) => values[name]! > 0)
    .join(', ');
}
