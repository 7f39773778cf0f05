/** `sa-orch clean`: removes what nothing needs any more, after saying what and how much it is. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readRootId } from '../../common/files';
import { createInterface } from 'node:readline/promises';
import { Command, InvalidArgumentError } from 'commander';
import { nameHolder, tryLock, wayOut } from '../../common/lock-file';
import { isElsewhere } from '../../common/process-identity';
import { UserError } from '../base/errors';
import { formatBytes } from '../base/format-bytes';
import { plural } from '../base/plural';
import { artifactRoot, stateDirectory } from '../runtime/paths';
import { removeUnneeded } from '../store/remove-unneeded';
import { KINDS, sumBytes, type Kind, type Removable } from '../store/unneeded';
import { findRemovable, type Kept } from './find-removable';
import { addJsonOption, addPlaceOptions, type PlaceOptions } from './options';
import { printJson, runAction } from './output';
import { lockOfJob } from './trainer-jobs';

interface CleanOptions extends PlaceOptions {
  dryRun?: boolean;
  yes?: boolean;
  sweep?: string;
  /** Milliseconds. */
  olderThan?: number;
  caches?: boolean;
  json?: boolean;
}

/** What one of a kind is called, and which of them may go. */
const WORDS: Record<Kind, { noun: string; which: string }> = {
  checkpoints: { noun: 'checkpoint', which: 'of trials that are done' },
  predictions: { noun: 'prediction', which: 'files of trials that are done or in no sweep' },
  datasets: { noun: 'data set', which: 'that no sweep has' },
  backbones: { noun: 'backbone', which: 'for trainers elsewhere, that no unfinished sweep has' },
  copies: { noun: 'duplicate', which: 'sent here for sweeps elsewhere, not changed for a week' },
  leftovers: { noun: 'leftover', which: 'of killed processes' },
  jobs: { noun: 'trainer job', which: 'that have ended, with their logs' },
  caches: { noun: 'cache', which: 'of this user, made again by the next start' },
};

export function cleanCommand(): Command {
  const command = new Command('clean')
    .description(
      'remove what nothing needs any more: shows it and asks. Adapters, masks, results, plans ' +
        'and reports stay, and so does what an unfinished sweep needs',
    )
    .option('--dry-run', 'only show what may go')
    .option('--yes', 'remove without asking; needed without a terminal')
    .option('--sweep <sweep>', 'only what belongs to this sweep')
    .option('--older-than <time>', 'only what has not changed for 7d, 12h or 30m', parseTime)
    .option(
      '--caches',
      "also this user's environments, programs and downloaded backbones, for all directories",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  sa-orch clean --dry-run\n  sa-orch clean --older-than 7d',
    );
  return addJsonOption(addPlaceOptions(command)).action((options: CleanOptions) =>
    runAction(options.json === true, () => clean(options)),
  );
}

async function clean(options: CleanOptions): Promise<void> {
  const [root, stateDir] = [artifactRoot(options.root), stateDirectory(options.stateDir)];
  const { dryRun = false, yes = false, json = false, caches = false, olderThan = 0 } = options;
  const canAsk = !json && process.stdin.isTTY;
  refuseForeignFolder(root);
  const lock = dryRun ? null : lockRoot(root);
  try {
    const search = { root, stateDir, sweep: options.sweep, olderThan, caches };
    const { found, kept } = await findRemovable(search);
    if (found.length > 0 && !dryRun && !yes && !canAsk) {
      throw new UserError(
        `removing needs --yes ${json ? 'with --json' : 'without a terminal'}`,
        2,
        '`sa-orch clean --dry-run` shows what would go.',
      );
    }
    if (!json) printFound(root, found, kept);
    const goes = !dryRun && found.length > 0 && (yes || (await confirm(found)));
    const removed = goes ? await removeAll(root, found) : [];
    if (json) printJson({ root, dry_run: dryRun, kinds: countKinds(found), found, kept, removed });
    else if (goes) process.stdout.write(`removed ${formatBytes(sumBytes(removed))}\n`);
  } finally {
    lock?.release();
  }
}

/** A folder that is no artifact root has `datasets` or `trials` that are not ours to remove. */
export function refuseForeignFolder(root: string): void {
  const isTop = dirname(root) === root;
  if (!isTop && (!existsSync(root) || readRootId(root) !== undefined)) return;
  throw new UserError(
    isTop
      ? `${root} holds more than an artifact root: nothing in it is removed`
      : `${root} is no artifact root: it has no file .root-id, which the first start writes`,
    2,
    'Name the one to clean with --root <dir>.',
  );
}

/** Two at a time would be in each other's way. */
function lockRoot(root: string): { release(): void } | null {
  if (!existsSync(root)) return null;
  const path = join(root, '.clean.lock');
  const lock = tryLock(path);
  if ('release' in lock) return lock;
  throw new UserError(
    `another sa-orch clean works on ${root}: ${nameHolder(lock.holder)}`,
    1,
    isElsewhere(lock.holder) ? wayOut(path, lock.holder) : undefined,
  );
}

/** Jobs stay after all if their trainer has started meanwhile; until they are gone, it cannot. */
async function removeAll(root: string, found: readonly Removable[]): Promise<Removable[]> {
  const removed: Removable[] = [];
  const jobs = found.filter(({ kind }) => kind === 'jobs');
  const locks = new Map(
    [...new Set(jobs.map(({ path }) => lockOfJob(path)))].map((path) => [path, tryLock(path)]),
  );
  const isInUse = ({ kind, path }: Removable): boolean =>
    kind === 'jobs' && 'holder' in locks.get(lockOfJob(path))!;
  try {
    for (const item of found) {
      if (isInUse(item)) continue;
      if (await removeUnneeded(root, item)) removed.push(item);
    }
  } finally {
    for (const lock of locks.values()) if ('release' in lock) lock.release();
  }
  return removed;
}

async function confirm(found: readonly Removable[]): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await lines.question(`remove ${formatBytes(sumBytes(found))}? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

function countKinds(found: readonly Removable[]): Record<Kind, { items: number; bytes: number }> {
  const count = (kind: Kind) => {
    const items = found.filter((item) => item.kind === kind);
    return [kind, { items: items.length, bytes: sumBytes(items) }] as const;
  };
  return Object.fromEntries(KINDS.map(count)) as ReturnType<typeof countKinds>;
}

function printFound(root: string, found: readonly Removable[], kept: readonly Kept[]): void {
  const kinds = countKinds(found);
  const print = (name: string, items: number, bytes: number, which: string): void => {
    const columns = [name.padEnd(14), String(items).padStart(6), formatBytes(bytes).padStart(10)];
    process.stdout.write(`${columns.join(' ')}   ${which}`.trimEnd() + '\n');
  };
  for (const kind of KINDS) {
    const { items, bytes } = kinds[kind];
    if (items > 0) print(`${WORDS[kind].noun}s`, items, bytes, WORDS[kind].which);
  }
  if (found.length === 0) process.stdout.write(`nothing to remove under ${root}\n`);
  else print('in all', found.length, sumBytes(found), '');
  for (const { kind, items, bytes, reason } of kept) {
    const what = `${plural(items, WORDS[kind].noun)}, ${formatBytes(bytes)}`;
    process.stdout.write(`kept: ${what}: ${reason}\n`);
  }
}

const MS = { d: 86_400_000, h: 3_600_000, m: 60_000 };

function parseTime(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([dhm])$/.exec(text) ?? [];
  if (amount === undefined)
    throw new InvalidArgumentError('must be a number of days, hours or minutes: 7d, 12h or 30m');
  return Number(amount) * MS[unit as keyof typeof MS];
}
