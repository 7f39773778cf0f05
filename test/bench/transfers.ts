/**
 * How fast a file of 300 MB moves to a trainer and back over a unix socket, and how much memory the
 * trainer takes for it. Linux only: it reads /proc.
 */
import { residentBytes } from '../support/resident-bytes';
import { TrainerPlace } from '../support/trainer-process';
import type { TrainerName } from '../support/trainers';
import { artifactOf, fill, Transfers, uploadOf } from '../support/transfers';

const BYTES = 300_000_000;
const TRAINERS: TrainerName[] = ['default', 'tfjs', 'toy'];
const MS_BETWEEN_LOOKS = 20;

export interface Moved {
  trainer: TrainerName;
  /** Of the trainer's process before the first transfer. */
  resident_mb: number;
  upload_mb_per_s: number;
  /** By how much the trainer grew at most meanwhile. */
  upload_grew_mb: number;
  /** The first download includes making the digest, unless the trainer knows it. */
  download_mb_per_s: number;
  download_grew_mb: number;
}

/** Needs what the trainers' conformance tests need. */
export async function moveFiles(): Promise<Moved[]> {
  const moved: Moved[] = [];
  for (const trainer of TRAINERS) moved.push(await moveWith(trainer));
  return moved;
}

async function moveWith(trainer: TrainerName): Promise<Moved> {
  const place = new TrainerPlace();
  const transfers = new Transfers(place.address);
  try {
    const { pid } = await place.start([], trainer);
    const content = fill(BYTES);
    const artifact = artifactOf(`datasets/${'a'.repeat(32)}/large.safetensors`, content);
    const resident = residentMb(pid);
    const up = await measure(pid, () => transfers.upload(uploadOf(artifact, content)));
    const down = await measure(pid, () => transfers.drain({ name: artifact.name }));
    return {
      trainer,
      resident_mb: Math.round(resident),
      upload_mb_per_s: up.mbPerSecond,
      upload_grew_mb: up.grewMb,
      download_mb_per_s: down.mbPerSecond,
      download_grew_mb: down.grewMb,
    };
  } finally {
    transfers.close();
    await place.remove();
  }
}

async function measure(
  pid: number,
  move: () => Promise<unknown>,
): Promise<{ mbPerSecond: number; grewMb: number }> {
  const before = residentMb(pid);
  let most = before;
  const look = setInterval(() => (most = Math.max(most, residentMb(pid))), MS_BETWEEN_LOOKS);
  const started = performance.now();
  await move();
  const seconds = (performance.now() - started) / 1000;
  clearInterval(look);
  return {
    mbPerSecond: Math.round(BYTES / 1e6 / seconds),
    grewMb: Math.round(most - before),
  };
}

const residentMb = (pid: number): number => residentBytes(pid) / 1e6;
