/** Runs jobs, and keeps the last backbone and splits for a next job with the same ones. */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { listWords } from '../../common/vocabulary/vocabulary';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { JobContext } from '../host/engine';
import { readSplit, type Split } from '../host/splits';
import { disposeBackbone, loadBackbone, type Backbone } from './backbone';
import { ScoringStore } from './scoring-store';
import { LoadedJob } from './loaded-job';
import { ATTENTION_FORMS, FFN_FORMS } from './modules';
import { runPredict } from './work-predict';
import { runPrune } from './work-prune';
import { runTrain } from './work-train';

export { ARCHITECTURES } from './backbone-files';
/** The modules in the capabilities. */
export const MODULES = {
  attentionModules: listWords(ATTENTION_FORMS).map((word) => ATTENTION_MODULES[word].proto),
  ffnModules: listWords(FFN_FORMS).map((word) => FFN_MODULES[word].proto),
};
export { isOnGpu, libraryVersion, tf } from './tensorflow';

export class Jobs {
  private backbone: { key: string; value: Backbone } | undefined;
  private splits = new Map<string, Split>();
  /** Of this backbone's adapters. */
  private readonly scoring = new ScoringStore();

  async run(spec: JobSpec, context: JobContext): Promise<void> {
    const loaded = await this.load(spec, context);
    const work = spec.work!;
    if (work.$case === 'prune') return runPrune(loaded, spec, context, this.scoring);
    if (work.$case === 'train') return runTrain(loaded, spec, work.value, context);
    return runPredict(loaded, spec, work.value, context);
  }

  /** Loads backbone and splits. Throws EngineFailure (BAD_ARTIFACT). */
  private async load(spec: JobSpec, context: JobContext): Promise<LoadedJob> {
    const names = listSplits(spec);
    const value = {
      phase: Phase.PHASE_LOAD,
      done: 0,
      total: 1 + names.length,
      rowsPerSecond: 0,
      trialSteps: [],
      note: '',
      resumed: 0,
    };
    context.emit({ $case: 'progress', value });
    const { path, digest } = spec.backbone!;
    const key = JSON.stringify([path, digest]);
    if (this.backbone?.key !== key) {
      // Freed first, because two large backbones may not fit.
      if (this.backbone) disposeBackbone(this.backbone.value);
      this.backbone = undefined;
      this.scoring.clear();
      this.backbone = { key, value: loadBackbone(path) };
    }
    const backbone = this.backbone.value;
    const splits = new Map<string, Split>();
    const { name: dataset, taskKind, numLabels } = spec.dataset!;
    for (const name of names) {
      await context.breathe();
      const keyOfSplit = JSON.stringify([key, dataset, taskKind, numLabels, name]);
      splits.set(
        keyOfSplit,
        this.splits.get(keyOfSplit) ?? readSplit(context.root, spec.dataset!, name, backbone),
      );
    }
    this.splits = splits;
    return new LoadedJob(
      spec,
      backbone,
      new Map(names.map((name, i) => [name, [...splits.values()][i]!])),
    );
  }
}

function listSplits({ work }: JobSpec): string[] {
  return work!.$case === 'predict' ? [...new Set(work!.value.splits)] : ['train'];
}
