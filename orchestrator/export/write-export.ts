/** Writes an export into a folder that is whole or not there. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { syncFolder, writeDurably } from '../../common/durable-files';
import { nameBeside } from '../../common/temporary-names';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import type { Compacted, Exported, FileContent, FormatName } from './export-format';
import { FORMATS, requireHolds } from './formats';
import { writeModelCard } from './model-card';
import { TakenWeights } from './taken-weights';
import type { TrainedTrial } from './trained-trial';

export interface WrittenExport {
  /** Bytes by name. */
  files: Record<string, number>;
  notes: string[];
  compacted: Compacted | null;
}

/** @throws UserError (exit 2) if there is something at `out` that is not an empty folder */
export function requireEmpty(out: string): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw new UserError(`--out ${out} is a file`, 2);
  if (readdirSync(out).length > 0)
    throw new UserError(`--out ${out} exists and is not empty`, 2, 'Name another folder.');
}

/**
 * Exports a trial.
 *
 * @throws UserError (exit 2) if the format cannot hold the trial and each of its tensors, or `out`
 *   is not empty
 */
export async function writeExport(
  trained: TrainedTrial,
  format: FormatName,
  out: string,
): Promise<WrittenExport> {
  requireEmpty(out);
  requireHolds(format, trained);
  const exported = await makeWhole(trained, format);
  const files = new Map(exported.files);
  const hasMasks = existsSync(trained.masksFile) && !files.has('masks.safetensors');
  if (hasMasks) files.set('masks.safetensors', readFileSync(trained.masksFile));
  files.set('README.md', writeModelCard(trained, format, exported));
  return {
    files: await writeFolder(out, files),
    notes: exported.notes,
    compacted: exported.compacted,
  };
}

/** @throws UserError (exit 2) if a tensor would be left out, which would change what is computed */
async function makeWhole(trained: TrainedTrial, format: FormatName): Promise<Exported> {
  const weights = new TakenWeights(trained.weights);
  const exported = await FORMATS[format].make({ ...trained, weights });
  const left = weights.listLeft();
  if (left.length > 0)
    throw new UserError(
      `${trained.trial.id} cannot be exported as ${format}: the export would leave out ` +
        `${plural(left.length, 'tensor')} (${left[0]!})`,
      2,
    );
  return exported;
}

/** Writes the files of a folder, which gets its name once all are on disk. Returns their bytes. */
export async function writeFolder(
  out: string,
  files: ReadonlyMap<string, FileContent>,
): Promise<Record<string, number>> {
  const temporary = nameBeside(out);
  makeFolder(dirname(out));
  const bytes: Record<string, number> = {};
  try {
    await mkdir(temporary);
    for (const [name, content] of files) {
      const path = join(temporary, name);
      await writeDurably(path, content);
      bytes[name] = (await stat(path)).size;
    }
    // An empty folder is replaced.
    await rename(temporary, out);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await syncFolder(dirname(out));
  return bytes;
}
