/**
 * A disk that a test fills: it takes bytes and refuses to keep them, as one does that allocates
 * late.
 */
import fs from 'node:fs';

export class FullDisk {
  isFull = false;

  /** Until `jest.restoreAllMocks`. */
  constructor(code: 'ENOSPC' | 'EDQUOT' = 'ENOSPC') {
    const { fsyncSync } = fs;
    jest.spyOn(fs, 'fsyncSync').mockImplementation((descriptor) => {
      if (this.isFull) throw Object.assign(new Error(`${code}: no room, fsync`), { code });
      fsyncSync(descriptor);
    });
  }
}
