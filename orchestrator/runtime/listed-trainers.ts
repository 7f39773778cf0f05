/** The trainers of a state directory, listed in their artifact root for whoever places work. */
import { HOST } from '../../common/process-identity';
import { nameServices, removeTrainerList, writeTrainerList } from '../trainer-client/registry';
import { listSources, readRuntimeConfig, type RuntimeConfig } from './runtime-config';

export function listTrainers(stateDir: string, config: RuntimeConfig): void {
  writeTrainerList(config.root, nameServices(stateDir), {
    ...{ format: 1, owner: `services of ${stateDir} on host ${HOST}`, host: HOST },
    trainers: listSources(config),
  });
}

/** After this, they serve the root no more. */
export function unlistTrainers(stateDir: string): void {
  const root = readRuntimeConfig(stateDir)?.root;
  if (root !== undefined) removeTrainerList(root, nameServices(stateDir));
}
