/** A trainer that runs for a group of tests, with a small data set at hand. */
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { TrainerClient } from '../../orchestrator/trainer-client/client';
import { writeTinyDataset } from './tiny-dataset';
import { describeTrainer, TrainerPlace } from './trainer-process';

/** What the tests of a group use; there from their `beforeAll` on. */
export interface StartedTrainer {
  readonly place: TrainerPlace;
  readonly client: TrainerClient;
  readonly pid: number;
  readonly dataset: Dataset;
}

/** `describeTrainer` with one trainer for all tests of the body. */
export function describeStartedTrainer(title: string, body: (here: StartedTrainer) => void): void {
  describeTrainer(title, () => {
    const here = {} as StartedTrainer;
    beforeAll(async () => {
      const place = new TrainerPlace();
      const dataset = writeTinyDataset(place.root);
      Object.assign(here, { place, dataset });
      const { client, pid } = await place.start();
      Object.assign(here, { client, pid });
    });
    afterAll(() => here.place.remove());
    body(here);
  });
}
