import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  describeFullDisk,
  findFullDisk,
  freeBytes,
  isDiskFull,
  writeWhenThereIsRoom,
} from '../../../common/disk-space';
import { FullDisk } from '../support/full-disk';

const noRoom = (code = 'ENOSPC') => Object.assign(new Error(code), { code });

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'sa-orch-space-'))));
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

describe('a full disk', () => {
  it('is one that says so, or a quota that does', () => {
    expect(['ENOSPC', 'EDQUOT', 'EACCES'].map((code) => isDiskFull(noRoom(code)))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('is described by what is free, also for a path that is not there yet', () => {
    expect(freeBytes(join(folder, 'a', 'b'))).toBeGreaterThan(0);
    expect(describeFullDisk(join(folder, 'a'))).toMatch(
      /^no room on the disk of .*: [\d,]+ MB free$/,
    );
    expect(describeFullDisk(folder, noRoom('EDQUOT'))).toContain('the quota is used up on');
  });

  it('is found by a write, which leaves nothing', () => {
    expect(findFullDisk([join(folder, 'missing'), folder])).toBeUndefined();
    new FullDisk().isFull = true;
    expect(findFullDisk([folder])).toContain(`no room on the disk of ${folder}: `);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not a folder that cannot be written for another reason', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(findFullDisk([file])).toBeUndefined();
  });

  it('is waited for until there is room, and other errors are not', async () => {
    const reasons: string[] = [];
    const write = () => {
      if (reasons.length === 0) throw noRoom();
      writeFileSync(join(folder, 'file'), '');
      return 'written';
    };
    const wait = (reason: string) => void reasons.push(reason);
    expect(await writeWhenThereIsRoom(folder, write, wait)).toBe('written');
    expect(reasons.join()).toContain(`no room on the disk of ${folder}: `);
    expect(reasons).toHaveLength(1);
    const fails = () => Promise.reject(noRoom('EACCES'));
    await expect(writeWhenThereIsRoom(folder, fails, wait)).rejects.toThrow('EACCES');
  });

  it('is waited for only as long as its waiter wants', async () => {
    const stop = () => {
      throw new Error('stopped');
    };
    const never = () => Promise.reject(noRoom());
    await expect(writeWhenThereIsRoom(folder, never, stop)).rejects.toThrow('stopped');
  });
});
