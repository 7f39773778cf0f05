/** The trainers of a state directory, listed in their artifact root for whoever places work. */
import { HOST } from '../../common/process-identity';
import { nameServices, removeTrainerList, writeTrainerList } from '../trainer-client/registry';
import { listSources, type RuntimeConfig } from './runtime-config';

export function listTrainers(stateDir: string, { root, ...trainers }: RuntimeConfig): void {
  writeTrainerList(root, nameServices(stateDir), {
    ...{ format: 1, owner: `services of ${stateDir} on host ${HOST}`, host: HOST },
    folder: stateDir,
    trainers: listSources(trainers),
  });
}

/** After this, they serve the root no more. */
export function unlistTrainers(stateDir: string, root: string): void {
  removeTrainerList(root, nameServices(stateDir));
}
