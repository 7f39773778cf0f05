/** What differs between two plans, in the words of a sweep file. Pure. */
import { adapterLabel } from './adapters';
import { canonicalJson } from './canonical';
import { listTaskDatasets } from './lookup';
import { readPrecision } from './precision';
import type { Plan, PlannedDataset, Trial } from './types';

/** How many values of a key are listed. */
const LISTED = 6;

/** One phrase per difference: `train.steps 60 → 90`. */
export function listDifferences(before: Plan, after: Plan): string[] {
  const [oldSets, nowSets] = [listTaskDatasets(before.datasets), listTaskDatasets(after.datasets)];
  const shared = oldSets.flatMap((old) => {
    const now = nowSets.find(({ task }) => task === old.task);
    return now === undefined ? [] : [{ old, now }];
  });
  const tasks = shared.map(({ now }) => now.task);
  const [old, now] = [before, after].map((plan) =>
    // Trials of a new task differ in that task, not in what follows from it.
    listAll(plan).filter(({ task }) => shared.length === 0 || tasks.includes(task)),
  ) as [Trial[], Trial[]];
  return [
    ...compareProfiles(before, after),
    ...compareBackbones(before, after),
    ...compareValues('tasks', oldSets, nowSets, ({ task }) => task),
    ...shared.flatMap(({ old, now }) => compareData(old, now)),
    ...comparePruning(old, now),
    ...compareAdapters(old, now),
    ...compareKeys('train', old, now, ({ train }) => train, { total_steps: 'steps' }),
    ...compareKeys('generation', old, now, ({ generation = {} }) => generation),
    ...compareValues('precision', old, now, readPrecision),
    ...compareValues('seeds', old, now, ({ seed }) => seed),
    ...compareValues('search.over', [before], [after], ({ search }) => search?.over.join(', ')),
    ...compareValues('held out', [before], [after], findHeldOut),
  ];
}

/** What a search tries, and all that may be compared. */
function listAll({ trials, search }: Plan): Trial[] {
  const choices = search?.choices ?? [];
  return [
    ...trials,
    ...choices.flatMap(({ candidates }) => candidates.flatMap(({ confirm }) => confirm)),
  ];
}

const findHeldOut = ({ datasets }: Plan) =>
  datasets.find(({ held_out }) => held_out !== undefined)?.held_out?.fraction;

function compareProfiles({ profile: before }: Plan, { profile: after }: Plan): string[] {
  return before === after ? [] : [`profile ${before ?? 'none'} → ${after ?? 'none'}`];
}

function compareBackbones({ backbone: before }: Plan, { backbone: after }: Plan): string[] {
  if (before.digest === after.digest) return [];
  return before.name === after.name
    ? [`files of backbone ${after.name} changed`]
    : [`backbone ${before.name} → ${after.name}`];
}

function compareData(before: PlannedDataset, after: PlannedDataset): string[] {
  if (before.digest === after.digest) return [];
  const { task } = after;
  const found: string[] = [];
  if (before.source !== after.source)
    found.push(`data of ${task} ${before.source} → ${after.source}`);
  else found.push(...compareFiles(before, after));
  for (const name of ['max_length', 'metrics'] as const)
    found.push(...compareValues(`${name} of ${task}`, [before], [after], (each) => each[name]));
  // What else a family plans, such as columns, is in the digest, too.
  return found.length > 0 ? found : [`how ${task} is read changed`];
}

function compareFiles({ splits: before }: PlannedDataset, after: PlannedDataset): string[] {
  const changed: string[] = [];
  const rows: string[] = [];
  for (const now of after.splits) {
    const old = before.find(({ name }) => name === now.name);
    if (old === undefined) continue;
    if (old.digest !== now.digest) {
      const size = old.of === now.of ? '' : ` ${count(old.of)} → ${count(now.of)} rows`;
      changed.push(`${now.name}${size}`);
    } else if (old.rows !== now.rows) {
      rows.push(`${now.name} rows of ${after.task} ${count(old.rows)} → ${count(now.rows)}`);
    }
  }
  return changed.length > 0
    ? [`data of ${after.task} changed (${changed.join(', ')})`, ...rows]
    : rows;
}

/** Other settings of pruning follow from pruner and sparsity, unless those are the same. */
function comparePruning(before: readonly Trial[], after: readonly Trial[]): string[] {
  const found = (['pruner', 'sparsity'] as const).flatMap((key) =>
    compareValues(`compare.${key}`, before, after, ({ prune }) => prune[key]),
  );
  return found.length > 0 ? found : compareKeys('compare', before, after, ({ prune }) => prune);
}

function compareAdapters(before: readonly Trial[], after: readonly Trial[]): string[] {
  const found = compareValues('adapter', before, after, ({ adapter }) => adapterLabel(adapter));
  return found.length > 0 ? found : compareKeys('adapter', before, after, ({ adapter }) => adapter);
}

/** Compares the values of every key of a part of trials. */
function compareKeys(
  part: string,
  before: readonly Trial[],
  after: readonly Trial[],
  choose: (trial: Trial) => object,
  names: Readonly<Record<string, string>> = {},
): string[] {
  const keys = new Set([...before, ...after].flatMap((trial) => Object.keys(choose(trial))));
  return [...keys].flatMap((key) =>
    compareValues(
      `${part}.${names[key] ?? key}`,
      before,
      after,
      (trial) => (choose(trial) as Record<string, unknown>)[key],
    ),
  );
}

/** `<name> 1, 2 → 1, 2, 3`, or nothing if both sides have the same values. */
function compareValues<Part>(
  name: string,
  before: readonly Part[],
  after: readonly Part[],
  choose: (part: Part) => unknown,
): string[] {
  const [old, now] = [before, after].map((parts) => [
    ...new Set(parts.map((part) => show(choose(part)))),
  ]) as [string[], string[]];
  const isSame = old.length === now.length && old.every((value) => now.includes(value));
  return isSame ? [] : [`${name} ${list(old)} → ${list(now)}`];
}

function show(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : canonicalJson(value);
}

const list = (values: readonly string[]) =>
  values.slice(0, LISTED).join(', ') + (values.length > LISTED ? ', …' : '');

const count = (n: number) => n.toLocaleString('en-US');
