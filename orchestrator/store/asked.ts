/** What was asked of a sweep at its start, and added since: `sweeps/<sweep id>/asked.json`. */
import { join, resolve } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { readIfThere } from '../../common/files';
import { UserError } from '../base/errors';
import { parseObject } from '../base/parse-object';
import type { Asked, Extension, Plan } from '../sweep/types';
import { stampFile } from './file-stamp';
import { readJson } from './read-files';
import { planPath, sweepDir } from './sweep-store';

const askedPath = (root: string, sweepId: string) => join(sweepDir(root, sweepId), 'asked.json');

/** The next command may be given in another folder, so the file's path is written whole. */
export function writeAsked(root: string, sweepId: string, asked: Asked): Promise<void> {
  const file = asked.file && { ...asked.file, path: resolve(asked.file.path) };
  return writeJsonDurably(askedPath(root, sweepId), { ...asked, file });
}

export const hasAsked = (root: string, sweepId: string): boolean =>
  stampFile(askedPath(root, sweepId)) !== null;

/** The command that began a sweep; `start`, too, where an earlier version did not write it down. */
export async function beganWith(root: string, sweepId: string): Promise<'start' | 'run'> {
  const asked = await readJson<Asked>(askedPath(root, sweepId));
  return asked?.file === null ? 'run' : 'start';
}

/** @throws UserError (exit 2) if an earlier version started the sweep, with the way out */
export async function readAsked(root: string, sweepId: string): Promise<Asked> {
  const asked = await readJson<Asked>(askedPath(root, sweepId));
  if (asked !== null) return asked;
  throw new UserError(
    `${sweepId} has no asked.json: an earlier version of sa-orch started it, which did not write ` +
      'down what was asked for',
    2,
    'The `sa-orch start` or `sa-orch run` that began it writes that down and runs nothing twice. ' +
      'Then this can be done.',
  );
}

/** What was added to a sweep since its start; nothing if it has no plan here. */
export function readExtensions(root: string, sweepId: string): readonly Extension[] {
  const path = planPath(root, sweepId);
  const text = readIfThere(path);
  return text === undefined ? [] : (parseObject<Plan>(path, text).extended ?? []);
}
