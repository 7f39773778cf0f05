/** Shows trainers as they answer. */
import { UserError } from '../base/errors';
import type { OnProgress } from '../base/progress';
import { readTrainers, type TrainerSource } from '../trainer-client/registry';
import { expands, expandSource, LISTED } from '../trainer-client/sources';
import { listSources, type ExternalTrainer, type RuntimeConfig } from './runtime-config';
import type { UpOptions } from './runtime-plan';
import { askCapabilities, describeDevices } from './trainer-health';

const ANSWER_MS = 15_000;

/** Whether one of the root's other trainers answers, as those of a batch system do; shows it. */
async function announceListed(
  root: string,
  asked: readonly TrainerSource[],
  onProgress: OnProgress,
): Promise<boolean> {
  const known = new Set(asked.map(({ address }) => address));
  const { trainers } = await readTrainers(root);
  const others = trainers.filter(({ address }) => !known.has(address));
  const shown = await Promise.allSettled(
    others.map((trainer) =>
      showTrainer(trainer, `, at ${trainer.address}, listed in the artifact root`, onProgress),
    ),
  );
  return shown.some(({ status }) => status === 'fulfilled');
}

/**
 * Asks the trainers that are not started here, a line for each. Returns whether one answers.
 *
 * @param added those of them that the services did not use until now
 * @throws UserError (exit 3) that says why if none answers and none is started here, unless the
 *   caller can wait
 */
export async function announceExternal(
  config: RuntimeConfig,
  added: readonly ExternalTrainer[],
  { canWait = false, onProgress }: Pick<UpOptions, 'canWait' | 'onProgress'>,
): Promise<boolean> {
  const trainers: TrainerSource[] = [];
  const unread: string[] = [];
  const sources = listSources({ local: null, external: config.external });
  const usesListed = sources.some(({ address }) => address === LISTED);
  for (const source of sources.filter(({ address }) => address !== LISTED)) {
    const expanded = await expandSource(source);
    unread.push(...expanded.problems);
    if (expanded.trainers.length === 0 && expanded.problems.length === 0)
      unread.push(`${source.name} names no trainer yet`);
    trainers.push(...expanded.trainers);
  }
  const isAlone = config.local === null && trainers.length === 1;
  const answers = await Promise.all(
    trainers.map((trainer) =>
      showTrainer(trainer, isAlone ? '' : `, at ${trainer.address}`, onProgress).then(
        () => undefined,
        (error: Error) => error,
      ),
    ),
  );
  const failures = answers.filter((error) => error !== undefined);
  let isServed = failures.length < answers.length;
  if (usesListed || (!isServed && config.local === null))
    isServed = (await announceListed(config.root, trainers, onProgress)) || isServed;
  const hasNone = usesListed && sources.length === 1;
  if (!isServed && config.local === null && !canWait) {
    if (hasNone) throw noneListed(config.root);
    if (failures.length === 1 && unread.length === 0) throw failures[0]!;
    const reasons = [...unread, ...failures.map(({ message }) => message)];
    throw new UserError(
      `none of the trainers that --trainer names answers:\n  ${reasons.join('\n  ')}`,
      3,
      'Are they running there? `sa-orch trainer` starts one.',
    );
  }
  if (!isServed && hasNone) onProgress('!', 'trainer', `${noneListed(config.root).message} yet`);
  for (const problem of unread) onProgress('!', 'trainer', problem);
  for (const { message } of failures)
    onProgress('!', 'trainer', `${message}; it gets work once it does`);
  for (const { address } of added) {
    const what = expands(address) ? 'those of' : 'at';
    onProgress('✓', 'trainer', `added to the services that run: ${what} ${address}`);
  }
  return isServed;
}

const noneListed = (root: string): UserError =>
  new UserError(
    `no trainer that answers is listed in ${root}`,
    3,
    '`sa-orch trainer --register` there lists one; under Slurm it is deploy/slurm/trainer.sbatch.',
  );

/** @throws UserError (exit 3) that says why if it does not answer */
export async function showTrainer(
  trainer: TrainerSource,
  place: string,
  onProgress: OnProgress,
): Promise<void> {
  const capabilities = await askCapabilities(trainer, ANSWER_MS);
  const { framework, frameworkVersion } = capabilities;
  const name = trainer.name.startsWith('trainer-') ? trainer.name : 'trainer';
  onProgress(
    '✓',
    `${name} ${framework} ${frameworkVersion}`,
    `${describeDevices(capabilities)}${place}`,
  );
}
