/**
 * Which conformance cases the trainer under test can do: those whose trials it lists everything for
 * in its capabilities.
 */
import { listLaterFields } from '../../common/vocabulary/later-fields';
import { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AdapterNorm,
  AttentionModule,
  FfnModule,
  MaskRules,
  MaskStructure,
  Pruner,
  TaskKind,
  Unfrozen,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { trainerUnderTest, type TrainerName } from './trainers';

/** The environment variable in which ask-capabilities.ts leaves its answer. */
export const capabilitiesVariable = (name: TrainerName): string =>
  `SA_ORCH_TEST_CAPABILITIES_${name.toUpperCase()}`;

/**
 * What the trainer under test lists; undefined where it cannot be started, or where this is no
 * conformance test.
 */
function abilities(): Capabilities | undefined {
  const text = process.env[capabilitiesVariable(trainerUnderTest())];
  return text === undefined ? undefined : Capabilities.fromJSON(JSON.parse(text));
}

/**
 * What the trials need and the trainer under test lacks, by the names of the contract. taskKind:
 * where it is another than every trainer has.
 */
export function lacking(
  trials: readonly Trial[],
  taskKind = TaskKind.TASK_KIND_CLASSIFICATION,
): string[] {
  const able = abilities();
  return able ? listLacking(able, trials, taskKind) : [];
}

/** What the trials need and a trainer lacks, by the names of the contract. */
export function listLacking(
  able: Capabilities,
  trials: readonly Trial[],
  taskKind: TaskKind,
): string[] {
  if (!able.taskKinds.includes(taskKind)) return [TaskKind[taskKind]];
  const missing = trials.flatMap(({ adapter, prune, train }) => {
    const { pruner, structure, rules, everySteps } = prune!;
    const needs: [number, readonly number[], Record<number, string>][] = [
      [adapter!.attention, able.attentionModules, AttentionModule],
      [adapter!.ffn, able.ffnModules, FfnModule],
      [adapter!.unfrozen, able.unfrozen, Unfrozen],
      [pruner, able.pruners, Pruner],
      [structure, able.maskStructures, MaskStructure],
      [rules, able.maskRules, MaskRules],
    ];
    const names = needs
      .filter(([value, listed]) => !listed.includes(value))
      .map(([value, , names]) => names[value]!);
    const norms = [adapter!.norm, adapter!.attentionNorm].filter(
      (norm) => norm !== AdapterNorm.ADAPTER_NORM_UNSPECIFIED,
    );
    if (able.adapterNorms.length > 0)
      names.push(...norms.filter((n) => !able.adapterNorms.includes(n)).map((n) => AdapterNorm[n]));
    if (everySteps > 0 && !able.prunesDuringTraining) names.push('pruning during training');
    const fields = listLaterFields({ adapter: adapter!, prune: prune!, train: train! });
    return [...names, ...fields.filter((field) => !able.fields.includes(field))];
  });
  return [...new Set(missing)];
}

/** `test`, or a skipped one whose title says what the trainer lacks for these trials. */
export function testOf(
  trials: readonly Trial[],
  title: string,
  body: () => Promise<void> | void,
  taskKind?: TaskKind,
): void {
  const missing = lacking(trials, taskKind);
  const run = async (): Promise<void> => body();
  if (missing.length > 0)
    test.skip(`${title} (skipped: the trainer lacks ${missing.join(', ')})`, run);
  else test(title, run);
}

/** Whether the trainer under test moves files: all where that is unknown. */
export const movesFiles = (): boolean => abilities()?.artifactService ?? true;
