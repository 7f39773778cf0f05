/** `sa-orch extend`: adds seeds or lines of compare to a sweep, which keeps its id. */
import { Command, Option } from 'commander';
import { configFromAsked } from '../config/asked';
import { planExtension } from '../config/extended-plan';
import { readCompareLines } from '../config/extension';
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { readAsked } from '../store/asked';
import { readPlan } from '../store/plan-store';
import type { Asked, Extension, Plan } from '../sweep/types';
import { findSweep } from './find-place';
import { listOpenIds } from './open-sweeps';
import { parseSeeds } from './options';
import { printJson, progressLine, progressLineOnStderr, runAction } from './output';
import { COHORT_SIZE } from './request';
import { describeAdded, sayAdded } from './added-trials';
import { addLaunchOptions, launch, type LaunchOptions } from './start';
import { planStored, requestStored } from './stored-request';

interface ExtendOptions extends LaunchOptions {
  seeds?: number[];
  compare?: string[];
  rungs?: 'off';
  dryRun?: boolean;
}

export function extendCommand(): Command {
  const command = new Command('extend')
    .description(
      'add seeds or lines of compare to a sweep, running or ended: it keeps its id and table, ' +
        'and only new trials run',
    )
    .argument(
      '<sweep>',
      'the id that `start` printed, or its beginning; `sa-orch status` lists them',
    )
    .option('--seeds <list>', 'further seeds for every row: 6,7 or 6-10', parseSeeds)
    .option(
      '--compare <line>',
      'a further line of compare, or a list of them, as in a sweep file; may be repeated',
      (text, before: string[] = []) => [...before, text],
    )
    .addOption(
      new Option(
        '--rungs <off>',
        'train to their end the candidates that the search of an ended sweep has stopped early, ' +
          'and choose anew',
      ).choices(['off']),
    )
    .option('--dry-run', 'only show what would run')
    .addHelpText(
      'after',
      '\nExamples:\n  sa-orch extend glue-7f3a12cd --seeds 6,7\n' +
        "  sa-orch extend glue-7f3a12cd --compare '{ pruner: snip, sparsity: 0.6 }'",
    );
  return addLaunchOptions(command).action((word: string, options: ExtendOptions) =>
    runAction(options.json === true, () => extend(word, options)),
  );
}

async function extend(word: string, options: ExtendOptions): Promise<void> {
  const onProgress = options.json ? progressLineOnStderr : progressLine;
  const { sweepId, root, stateDir } = await findSweep(word, options, listOpenIds);
  const stored = await readPlan(root, sweepId);
  const asked = await readAsked(root, sweepId);
  const extension = findNew(readAsExtension(options), asked, stored, onProgress);
  if (extension === null) return sayUnchanged(sweepId, options, onProgress);
  const after = extension.rungs
    ? planStored(stored, asked, [...(stored.extended ?? []), extension])('float32')
    : planExtension(stored, asked, extension, COHORT_SIZE);
  const added = await describeAdded(stored, after, root);
  if (added.trials === 0 && added.stopped === 0) return sayUnchanged(sweepId, options, onProgress);
  sayAdded(added, extension, onProgress);
  if (options.dryRun) {
    if (options.json) printJson({ sweep_id: sweepId, state: 'dry run', added });
    return;
  }
  const request = requestStored(stored, asked, { extension, added });
  await launch(request, { ...options, root, stateDir });
}

function sayUnchanged(sweepId: string, { json }: ExtendOptions, onProgress: OnProgress): void {
  if (json) printJson({ sweep_id: sweepId, state: 'unchanged', added: null });
  else onProgress('✓', `sweep ${sweepId}`, 'has all of that already: nothing changes');
}

/** @throws UserError (exit 2) if nothing is to be added */
function readAsExtension({ seeds = [], compare = [], rungs }: ExtendOptions): Extension {
  if (rungs !== undefined && seeds.length + compare.length > 0)
    throw new UserError('--rungs off is given alone: it makes choices anew', 2);
  if (rungs !== undefined) return { rungs };
  if (seeds.length === 0 && compare.length === 0)
    throw new UserError(
      'extend needs something to add: --seeds, --compare or --rungs off',
      2,
      'For example `sa-orch extend glue-7f3a12cd --seeds 6,7`.',
    );
  return { seeds, compare: compare.flatMap((text) => readCompareLines(text, '--compare')) };
}

/**
 * What of it the sweep does not have; null if it has everything.
 *
 * @throws UserError (exit 2) for seeds of its search, and for rungs that it never had
 */
export function findNew(
  { seeds = [], compare = [], rungs }: Extension,
  asked: Asked,
  { sweep_id, extended = [] }: Plan,
  onProgress: OnProgress,
): Extension | null {
  const config = configFromAsked(asked, extended);
  if (rungs !== undefined) {
    if (config.search?.stop_early) return { rungs };
    if (extended.some((each) => each.rungs === rungs)) return null;
    const what = config.search === null ? 'has no search' : 'has a search that stops nothing early';
    throw new UserError(
      `--rungs off: ${sweep_id} ${what}; must be left out, or given for a sweep with ` +
        'search.stop_early',
      2,
    );
  }
  const ofSearch = seeds.filter((seed) => config.search?.seeds.includes(seed));
  if (ofSearch.length > 0)
    throw new UserError(
      `--seeds: ${ofSearch.join(', ')} ${ofSearch.length === 1 ? 'is a seed' : 'are seeds'} of ` +
        `the search of ${sweep_id}; must be others, so that no choice is made by trials that are ` +
        'compared',
      2,
    );
  const known = seeds.filter((seed) => config.seeds.includes(seed));
  const further = [...new Set(seeds)].filter((seed) => !config.seeds.includes(seed));
  if (further.length === 0 && compare.length === 0) return null;
  if (known.length > 0)
    onProgress(
      '·',
      'seeds',
      `${known.join(', ')} ${known.length === 1 ? 'is' : 'are'} in it already`,
    );
  return { ...(further.length > 0 && { seeds: further }), ...(compare.length > 0 && { compare }) };
}
