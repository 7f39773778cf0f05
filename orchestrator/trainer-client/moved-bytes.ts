/**
 * How many bytes have moved between an artifact root and each trainer that does not see it:
 * `trainers/moved/<hash>.json` under the root, one file for each address and machine of a worker.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { isNotThere, noneIfNotThere } from '../../common/files';
import { HOST } from '../../common/process-identity';
import { parseObject } from '../base/parse-object';

export interface Moved {
  /** The trainer's address. */
  address: string;
  /** Bytes to the trainer. */
  sent: number;
  /** Bytes from the trainer. */
  received: number;
}

const folderOf = (root: string): string => join(root, 'trainers', 'moved');

function pathOf(root: string, address: string): string {
  const mark = createHash('sha256').update(`${address}\n${HOST}`).digest('hex').slice(0, 16);
  return join(folderOf(root), `${mark}.json`);
}

/** What has moved so far, by address. */
export async function readMovedBytes(root: string): Promise<Map<string, Moved>> {
  const found = new Map<string, Moved>();
  const names = await readdir(folderOf(root)).catch(noneIfNotThere);
  for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
    const path = join(folderOf(root), name);
    const { address, sent, received } = parseObject<Moved>(path, await readFile(path, 'utf8'));
    const before = found.get(address) ?? { address, sent: 0, received: 0 };
    found.set(address, {
      address,
      sent: before.sent + sent,
      received: before.received + received,
    });
  }
  return found;
}

/** Counts on from what a trainer's file says. A process has one for each root and address. */
export class ByteCounter {
  private static readonly all = new Map<string, ByteCounter>();
  private before: Moved | undefined;
  private sent = 0;
  private received = 0;
  private saved = 0;
  private readonly told = { sent: 0, received: 0 };

  private constructor(
    private readonly root: string,
    private readonly address: string,
  ) {}

  static of(root: string, address: string): ByteCounter {
    const path = pathOf(root, address);
    const counter = this.all.get(path) ?? new ByteCounter(root, address);
    this.all.set(path, counter);
    return counter;
  }

  /** Bytes that this process has moved. */
  get moved(): number {
    return this.sent + this.received;
  }

  addSent(bytes: number): void {
    this.sent += bytes;
  }

  addReceived(bytes: number): void {
    this.received += bytes;
  }

  /** What this process has moved since the last call. */
  takeUntold(): Pick<Moved, 'sent' | 'received'> {
    const { sent, received, told } = this;
    const more = { sent: sent - told.sent, received: received - told.received };
    Object.assign(told, { sent, received });
    return more;
  }

  /** Writes what has moved since the last call, if anything has. */
  async save(): Promise<void> {
    const { moved, address } = this;
    if (moved === this.saved) return;
    this.saved = moved;
    this.before ??= await this.read();
    await writeJsonDurably(pathOf(this.root, address), {
      address,
      sent: this.before.sent + this.sent,
      received: this.before.received + this.received,
    });
  }

  private async read(): Promise<Moved> {
    const path = pathOf(this.root, this.address);
    try {
      return parseObject<Moved>(path, await readFile(path, 'utf8'));
    } catch (error) {
      if (!isNotThere(error)) throw error;
      return { address: this.address, sent: 0, received: 0 };
    }
  }
}
