/** Services that run already, asked for with other settings. */
import { UserError } from '../base/errors';
import {
  DEFAULT_STOP_AFTER,
  DEFAULT_UNLOAD_AFTER,
  type ExternalTrainer,
  type RuntimeConfig,
} from './runtime-config';
import type { UpOptions } from './runtime-plan';
import { externalTemporal } from './temporal-client';
import { absoluteTlsFiles, nameExternal, namedPython } from './trainer-plan';

/** Trainers that are asked for and not used by the services that run. */
export function listAdded(
  { external }: RuntimeConfig,
  { trainerSources = [] }: UpOptions,
): ExternalTrainer[] {
  const known = external.map(({ address }) => address);
  return nameExternal(
    trainerSources.filter((source) => !known.includes(source)),
    [],
  );
}

/**
 * Trainers may be added to services that run. What else differs from the request is refused.
 *
 * @throws UserError (exit 2) naming each difference
 */
export function refuseOtherWishes(
  running: RuntimeConfig,
  options: UpOptions,
  env: NodeJS.ProcessEnv = process.env,
): void {
  const { local, external, temporal } = running;
  const wishes = local?.wishes;
  const differences = new Set<string>();
  const compare = (
    what: string,
    asked: string | number | undefined,
    has: string | number | null | undefined,
  ): void => {
    const words = (value: string | number | null | undefined) =>
      value === '' ? 'empty' : (value ?? 'not set');
    if (asked !== undefined && asked !== has)
      differences.add(`${what} is ${words(has)}, but ${words(asked)} was requested`);
  };
  compare('--root', options.root, running.root);
  compare('--framework', options.framework, local?.framework);
  compare('--trainers', options.trainers, local?.list.length);
  compare('--devices', options.devices?.join(','), wishes?.devices?.join(','));
  compare('--device', options.device, wishes?.device);
  compare('--threads', options.threads, local?.list[0]?.threads);
  compare(
    '--unload-after',
    options.unloadAfter,
    local && (local.unloadAfter ?? DEFAULT_UNLOAD_AFTER),
  );
  compare('--stop-after', options.stopAfter, running.stopAfter ?? DEFAULT_STOP_AFTER);
  if (local?.framework === 'torch' || options.python !== undefined)
    compare(
      options.python === undefined ? 'SA_ORCH_PYTHON' : '--python',
      namedPython(options, env),
      local?.ownPython,
    );
  // An external trainer got it from the environment of whoever started it.
  if (local) compare('CUDA_VISIBLE_DEVICES', env.CUDA_VISIBLE_DEVICES, wishes?.visibleGpus);
  const { trainerSources } = options;
  const tls = absoluteTlsFiles(env);
  for (const trainer of external) {
    if (trainerSources !== undefined && !trainerSources.includes(trainer.address)) continue;
    if (trainer.address.startsWith('unix:')) continue;
    compare('SA_ORCH_TRAINER_CA', tls?.ca, trainer.tls?.ca);
    compare('SA_ORCH_TRAINER_CERT', tls?.cert, trainer.tls?.cert);
    compare('SA_ORCH_TRAINER_KEY', tls?.key, trainer.tls?.key);
  }
  compare("Temporal's address", externalTemporal()?.address, temporal.address);
  if (differences.size === 0) return;
  const list = [...differences].join('; ');
  throw new UserError(
    `the services of ${options.stateDir} run with different settings: ${list}`,
    2,
    'Remove the option, or stop the services first with `sa-orch down`. A different --state-dir ' +
      'runs its own services.',
  );
}
