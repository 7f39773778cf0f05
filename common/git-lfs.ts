/** Git LFS leaves a few lines in place of a large file that was not fetched (git-lfs/spec.md). */
const FIRST_LINE = 'version https://git-lfs.github.com/spec/';

/** Whether a file that begins so is such a pointer. */
export function isLfsPointer(beginning: Uint8Array): boolean {
  return Buffer.from(beginning.subarray(0, FIRST_LINE.length)).toString('latin1') === FIRST_LINE;
}

/** The end of a message that names such a file. */
export const LFS_POINTER = 'is a Git LFS pointer, not the file itself; run "git lfs pull" first';
