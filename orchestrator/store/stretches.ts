/**
 * What a trial's training has reported up to its newest checkpoint: `stages/train.so-far.json`. A
 * job that goes on at another trainer has a log of its own, which begins there.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import type { TrainerEnvironment } from '../sweep/types';
import { readJson } from './read-files';
import { trialDir } from './sweep-store';

export interface Stretch {
  format: 1;
  /** The lines of metrics.jsonl, of steps up to the checkpoint's. */
  metrics: string[];
  /** As in StageRecord. */
  warnings: string[];
  environments: TrainerEnvironment[];
}

const stretchPath = (root: string, trial: string): string =>
  join(trialDir(root, trial), 'stages', 'train.so-far.json');

export const readStretch = (root: string, trial: string): Promise<Stretch | null> =>
  readJson<Stretch>(stretchPath(root, trial));

export const writeStretch = (root: string, trial: string, stretch: Stretch): Promise<void> =>
  writeJsonDurably(stretchPath(root, trial), stretch);

/** Once the trial is trained, its stage record and metrics.jsonl have all of it. */
export const removeStretch = (root: string, trial: string): Promise<void> =>
  rm(stretchPath(root, trial), { force: true });
