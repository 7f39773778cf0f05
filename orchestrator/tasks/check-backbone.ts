/** Checks that a sweep's backbone can do its tasks. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { ENCODER_DECODERS } from '../sweep/encoder-decoder';
import type { PlannedBackbone } from '../sweep/types';
import type { DatasetRequest, RequestedTask } from './dataset-request';
import type { TaskFamily } from './family';
import { FAMILIES } from './registry';

/**
 * Checks that the backbone can write if the task needs that, and has enough position embeddings.
 *
 * @throws ConfigError that names the setting that does not fit the backbone
 */
export function checkBackbone(
  task: RequestedTask,
  family: TaskFamily,
  request: DatasetRequest,
  backbone: PlannedBackbone,
): void {
  const where = request.file ?? request.name;
  const problem =
    findMisfit(task, family, backbone) ?? findLongRow(task, family, request, backbone);
  if (problem !== null) throw new ConfigError({ where, message: problem });
}

function findMisfit(
  { name: task, kind }: RequestedTask,
  { writes }: TaskFamily,
  { name, model_type, decoder }: PlannedBackbone,
): string | null {
  if (writes !== null && decoder === undefined) {
    return (
      `backbone: ${name} has type ${model_type} and cannot write ${writes}, which ${task} needs; ` +
      `must be an encoder–decoder (${ENCODER_DECODERS.join(', ')}), for example facebook/bart-base`
    );
  }
  if (writes === null && decoder !== undefined) {
    const kinds = FAMILIES.filter((family) => family.writes !== null).flatMap((family) =>
      Object.keys(family.kinds),
    );
    return (
      `backbone: ${name} has type ${model_type}, which is only for ${kinds.join(', ')}; ` +
      `must be an encoder (bert, roberta) for ${task}, which is ${kind.replaceAll('_', ' ')}`
    );
  }
  return null;
}

function findLongRow(
  { name: task }: RequestedTask,
  family: TaskFamily,
  request: DatasetRequest,
  backbone: PlannedBackbone,
): string | null {
  const max_length = request.max_length ?? family.defaultMaxLength;
  const positions = countPositions(backbone);
  if (max_length > positions) {
    const why = request.max_length === null ? ` (the default for ${task})` : '';
    return (
      `max_length: ${max_length}${why} is not allowed; ` +
      `${backbone.name} has ${positions} positions`
    );
  }
  const lengths = { max_length, positions, backbone: backbone.name };
  return family.planning.findLengthProblem(task, request, lengths);
}

/** RoBERTa's position embeddings begin after its padding index; T5 has no limit. */
function countPositions({ path, model_type }: PlannedBackbone): number {
  const model = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as {
    max_position_embeddings?: number;
    pad_token_id?: number;
  };
  const positions = model_type === 't5' ? Infinity : (model.max_position_embeddings ?? Infinity);
  return model_type === 'roberta' ? positions - (model.pad_token_id ?? 1) - 1 : positions;
}
