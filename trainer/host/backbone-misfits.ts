/** Whether a job fits its backbone, as the config.json on the trainer's disk describes it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LayerWidth } from '../../common/vocabulary/module-row';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { findWord } from '../../common/vocabulary/vocabulary';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AttentionModule,
  FfnModule,
  MaskStructure,
  Pruner,
  TaskKind,
  Unfrozen,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { bottlenecks, findBottleneck, hasBackbone, listModules, rowAt } from './adapter-parts';
import { findMaskMisfit, type Shapes } from './mask-misfits';
import { nameIn, quoted, type Violation } from './violations';
import type { WholeSpec, WholeTrial } from './whole-spec';

const ENCODER_DECODERS = ['bart', 't5'];

/**
 * The stacks of each kind of encoder–decoder, and what config.json calls the inner width of their
 * feed-forward blocks.
 */
const INNER_WIDTHS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bart: { 'encoder.': 'encoder_ffn_dim', 'decoder.': 'decoder_ffn_dim' },
  t5: { 'encoder.': 'd_ff', 'decoder.': 'd_ff' },
};
const ENCODERS_INNER_WIDTH = { '': 'intermediate_size' };

interface Config {
  modelType: string;
  hidden: number;
  /** A whole number of config.json; undefined if it has none of this name. */
  find(this: void, key: string): number | undefined;
}

const FIELD = 'spec.backbone.path';

export function backboneMisfits(spec: WholeSpec, { architectures }: Capabilities): Violation[] {
  const { path } = spec.backbone;
  const says = (description: string): Violation => ({ field: FIELD, description });
  if (!path.startsWith('/'))
    return [says(`${quoted(path)} is a hub id, and this trainer does not download`)];
  const written = readJson(join(path, 'config.json'));
  if (typeof written === 'string') return [says(describeUnreadable(path, written))];
  const supported = `this trainer supports ${architectures.join(', ')}`;
  const { model_type: modelType } = written;
  // What else a backbone of another type lacks does not matter.
  if (modelType === undefined || modelType === null)
    return [says(`${path}/config.json has no model_type; ${supported}`)];
  if (typeof modelType !== 'string' || !architectures.includes(modelType))
    return [says(`${path} is of type ${describeType(modelType)}; ${supported}`)];
  const config = readConfig(written, modelType);
  if (typeof config === 'string') return [says(describeUnreadable(path, config))];
  const type = `${path} is of type ${quoted(modelType)}`;
  const found: Violation[] = [];
  const summarizes = spec.dataset.taskKind === TaskKind.TASK_KIND_SUMMARIZATION;
  const isEncoderDecoder = ENCODER_DECODERS.includes(modelType);
  if (summarizes && !isEncoderDecoder) {
    const right = ENCODER_DECODERS.join(', ');
    found.push(says(`${type}; SUMMARIZATION needs an encoder–decoder: ${right}`));
  }
  if (isEncoderDecoder && !summarizes) {
    const kind = nameIn(TaskKind, spec.dataset.taskKind).replace('TASK_KIND_', '');
    const why = `it is for SUMMARIZATION, and the data set is for ${kind}`;
    found.push(says(`${type}, an encoder–decoder; ${why}`));
  }
  if (isEncoderDecoder) found.push(...encoderDecoderMisfits(spec, config));
  return [...found, ...widthMisfits(spec, config), ...structureMisfits(spec, config)];
}

function encoderDecoderMisfits({ trials, work }: WholeSpec, config: Config): Violation[] {
  const found = trials.flatMap((trial, index) => {
    const { adapter } = trial;
    const at = `spec.trials[${index}]`;
    const says: [string, string][] = [];
    if (hasBackbone(adapter)) {
      const why = "an encoder–decoder's own tensors are not trained";
      says.push(['adapter.unfrozen', `is ALL, or unfrozen_tensors is set; ${why}`]);
    }
    if (config.modelType === 't5' && adapter.unfrozen === Unfrozen.UNFROZEN_BIASES)
      says.push(['adapter.unfrozen', 'is BIASES; T5 has none']);
    if (config.modelType === 't5' && adapter.ffn === FfnModule.FFN_MODULE_AFTER_NORM) {
      const why = "which is for blocks that normalize their sum; T5's normalize their input";
      says.push(['adapter.ffn', `is AFTER_NORM, ${why}`]);
    }
    const flow = flowMisfit(trial, config);
    if (flow !== undefined) says.push(['prune.pruner', flow]);
    return says.map(([field, description]) => ({ field: `${at}.${field}`, description }));
  });
  const longest = config.find('max_position_embeddings');
  const asked = work?.$case === 'predict' ? (work.value.generation?.maxLength ?? 0) : 0;
  if (longest !== undefined && asked > longest) {
    const description = `${asked} is more than the ${longest} positions that the backbone has`;
    found.push({ field: 'spec.predict.generation.max_length', description });
  }
  return found;
}

/** SynFlow sends one vector through all modules, which LoRA's outputs are then added to. */
function flowMisfit({ adapter, prune }: WholeTrial, config: Config): string | undefined {
  const width = findAttentionWidth(config);
  const flows = prune.pruner === Pruner.PRUNER_SYNFLOW;
  if (!flows || adapter.attention !== AttentionModule.ATTENTION_MODULE_LORA) return undefined;
  if (width === config.hidden) return undefined;
  const word = findWord(PRUNERS, prune.pruner)!.toUpperCase();
  return (
    `is ${word}, whose chain adds what LORA gives, ${width} wide, to the hidden state, ` +
    `${config.hidden} wide; take another pruner`
  );
}

function widthMisfits({ trials }: WholeSpec, { hidden }: Config): Violation[] {
  const widest = 4 * hidden;
  return trials.flatMap(({ adapter }, index) =>
    listModules(adapter)
      .filter((site) => findBottleneck(adapter, site) > widest)
      .map((site) => ({
        field: `spec.trials[${index}].adapter.${site}_bottleneck`,
        description:
          `${findBottleneck(adapter, site)} is more than ` +
          `4 × the backbone's hidden size, ${widest}`,
      })),
  );
}

/**
 * Whether masks of groups and of units fit the matrices. One layer of each stack is enough, since
 * its matrices have the shapes of all the others.
 */
function structureMisfits({ backbone, trials }: WholeSpec, config: Config): Violation[] {
  const stacks = INNER_WIDTHS[config.modelType] ?? ENCODERS_INNER_WIDTH;
  const found: Violation[] = [];
  for (const [index, { adapter, prune }] of trials.entries()) {
    if (prune.pruner === Pruner.PRUNER_NONE) continue;
    if (prune.structure === MaskStructure.MASK_STRUCTURE_WEIGHTS) continue;
    const shapes: Shapes = new Map();
    for (const [stack, key] of Object.entries(stacks)) {
      const inner = config.find(key);
      if (adapter.ffn === FfnModule.FFN_MODULE_LORA && inner === undefined) {
        const why = `which FFN_MODULE_LORA's matrices depend on`;
        const description = `${backbone.path}/config.json has no ${key}, ${why}`;
        return [...found, { field: FIELD, description }];
      }
      addMatrices(shapes, `${stack}layers.0.`, adapter, {
        hidden: config.hidden,
        attention: findAttentionWidth(config),
        inner: inner ?? 0,
      });
    }
    const wrong = findMaskMisfit(prune, shapes);
    if (wrong)
      found.push({
        field: `spec.trials[${index}].prune.${wrong.field}`,
        description: wrong.description,
      });
  }
  return found;
}

function addMatrices(
  shapes: Shapes,
  layer: string,
  adapter: Adapter,
  widths: Record<LayerWidth, number>,
): void {
  // Bottlenecks first, so that all trainers name the same matrix.
  const first = bottlenecks(adapter);
  const others = listModules(adapter).filter((module) => !first.includes(module));
  for (const module of [...first, ...others]) {
    const r = findBottleneck(adapter, module);
    for (const { site, inputs, outputs } of rowAt(adapter, module)?.matrices ?? []) {
      shapes.set(`${layer}${site}.down.weight`, [r, widths[inputs]]);
      shapes.set(`${layer}${site}.up.weight`, [widths[outputs], r]);
    }
  }
}

/** e of Adapter in job.proto: heads times the width of a head, which is d except in T5. */
function findAttentionWidth({ modelType, hidden, find }: Config): number {
  const [heads, width] = [find('num_heads'), find('d_kv')];
  return modelType === 't5' && heads !== undefined && width !== undefined ? heads * width : hidden;
}

const describeType = (type: unknown): string =>
  typeof type === 'string' ? quoted(type) : JSON.stringify(type);

const describeUnreadable = (path: string, reason: string): string =>
  `${path} has no readable config.json with model_type and hidden_size ` +
  `on the trainer's machine (${reason})`;

/** A JSON object's content, or why there is none. */
function readJson(file: string): Record<string, unknown> | string {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : 'it is no JSON object';
  } catch (error) {
    return (error as Error).message;
  }
}

/** What is read of config.json, or what is wrong if that is missing. */
function readConfig(config: Record<string, unknown>, modelType: string): Config | string {
  const key = ENCODER_DECODERS.includes(modelType) ? 'd_model' : 'hidden_size';
  const hidden = config[key];
  if (typeof hidden !== 'number') return `${key} is missing; model_type is ${quoted(modelType)}`;
  const find = (name: string) => {
    const value = config[name];
    return Number.isInteger(value) ? (value as number) : undefined;
  };
  return { modelType, hidden, find };
}
