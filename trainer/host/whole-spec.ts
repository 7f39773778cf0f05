import {
  Adapter,
  Backbone,
  Dataset,
  JobSpec,
  Prune,
  Train,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';

/** A specification in which every message is set; one that was left out has zeros, as in proto3. */
export type WholeSpec = Pick<JobSpec, 'work' | 'precision'> & {
  backbone: Backbone;
  dataset: Dataset;
  trials: WholeTrial[];
};
export type WholeTrial = Trial & { adapter: Adapter; prune: Prune; train: Train };

export function wholeSpec(spec: JobSpec | undefined): WholeSpec {
  const { backbone, dataset, trials, work, precision } = spec ?? JobSpec.create();
  return {
    backbone: backbone ?? Backbone.create(),
    dataset: dataset ?? Dataset.create(),
    trials: trials.map(({ adapter, prune, train, ...rest }) => ({
      ...rest,
      adapter: adapter ?? Adapter.create(),
      prune: prune ?? Prune.create(),
      train: train ?? Train.create(),
    })),
    work,
    precision,
  };
}
