/** A small disk that a test fills: a tmpfs of its own. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class SmallDisk {
  private readonly filler: string;
  private refill: NodeJS.Timeout | undefined;

  /** Mounts a disk of so many megabytes at an empty folder. */
  constructor(
    private readonly folder: string,
    megabytes: number,
  ) {
    this.filler = join(folder, 'filler');
    const { status, stderr } = mount(folder, megabytes);
    if (status !== 0) throw new Error(stderr);
  }

  /** Fills it to the last byte, and again whenever something is removed. */
  fill(): void {
    const fillUp = (): void => {
      const file = openSync(this.filler, 'a');
      try {
        for (const size of [1 << 20, 4096]) writeUntilFull(file, Buffer.alloc(size));
      } finally {
        closeSync(file);
      }
    };
    fillUp();
    this.refill = setInterval(fillUp, 100);
  }

  /** Takes away what filled it. */
  free(): void {
    clearInterval(this.refill);
    rmSync(this.filler);
  }

  unmount(): void {
    clearInterval(this.refill);
    spawnSync('umount', ['--lazy', this.folder]);
  }
}

/** Why there are no small disks here; undefined if there are. */
export function whyNoSmallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-disk-'));
  const { status, error } = mount(folder, 1);
  if (status === 0) spawnSync('umount', [folder]);
  rmdirSync(folder);
  return status === 0 ? undefined : (error?.message ?? 'a tmpfs cannot be mounted here');
}

const mount = (folder: string, megabytes: number) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], {
    encoding: 'utf8',
  });

function writeUntilFull(file: number, chunk: Buffer): void {
  try {
    for (;;) writeSync(file, chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
