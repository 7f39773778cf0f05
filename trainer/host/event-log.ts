/**
 * A job's events on disk: append-only and numbered from 1 without gaps, across restarts.
 *
 * The file is a sequence of records: `length` and `crc32` (uint32, little-endian), then that many
 * bytes of a serialized Event without its log_id, which belongs to the log, not to the event. An
 * event is in the file before anyone sees it, so killing the process loses nothing that was seen. A
 * power cut may lose what was not synced; the tail is then cut at the first broken record.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { Event, type StateChanged } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { log } from './log';

const HEADER_BYTES = 8;
/** How many events to read at once when looking for the newest state. */
const CHUNK = 1000;

export class EventLog {
  private readonly listeners = new Set<() => void>();
  private writer: number | undefined;
  /** Where event i ends in the file, and event i + 1 begins. */
  private readonly ends = [0];

  /** Opens the log at `path`, or starts it. Cuts a torn tail. */
  constructor(
    private readonly path: string,
    readonly logId: string,
  ) {
    if (existsSync(path)) this.index();
  }

  /** The number of the newest event; 0 before the first. */
  get lastSequence(): number {
    return this.ends.length - 1;
  }

  /**
   * Numbers, timestamps and writes an event. With `sync`, it is on the device when this returns.
   */
  append(kind: NonNullable<Event['kind']>, sync: boolean): void {
    const event: Event = { sequence: this.lastSequence + 1, logId: '', time: new Date(), kind };
    const data = Event.encode(event).finish();
    const record = Buffer.alloc(HEADER_BYTES + data.length);
    record.writeUInt32LE(data.length, 0);
    record.writeUInt32LE(crc32(data), 4);
    record.set(data, HEADER_BYTES);
    this.writer ??= openSync(this.path, 'a');
    this.writeWhole(this.writer, record, sync);
    this.ends.push(this.ends.at(-1)! + record.length);
    for (const changed of [...this.listeners]) changed();
  }

  /** At most `limit` events after `afterSequence`, reading only that part of the file. */
  read(afterSequence: number, limit: number): Event[] {
    const last = Math.min(afterSequence + limit, this.lastSequence);
    if (last <= afterSequence) return [];
    const start = this.ends[afterSequence]!;
    const data = Buffer.alloc(this.ends[last]! - start);
    const file = openSync(this.path, 'r');
    try {
      for (let at = 0; at < data.length;) {
        const bytes = readSync(file, data, at, data.length - at, start + at);
        if (bytes === 0)
          throw new Error(`${this.path} has become shorter: another process changed it`);
        at += bytes;
      }
    } finally {
      closeSync(file);
    }
    return this.ends.slice(afterSequence, last).map((begin, i) => {
      const event = Event.decode(
        data.subarray(begin - start + HEADER_BYTES, this.ends[afterSequence + i + 1]! - start),
      );
      return { ...event, logId: this.logId };
    });
  }

  /** The newest state change; undefined if there is none. */
  lastState(): StateChanged | undefined {
    for (let end = this.lastSequence; end > 0; end -= CHUNK) {
      const start = Math.max(end - CHUNK, 0);
      for (const { kind } of this.read(start, end - start).reverse())
        if (kind?.$case === 'stateChanged') return kind.value;
    }
    return undefined;
  }

  /** Calls `changed` after each append. Returns a function that stops this. */
  listen(changed: () => void): () => void {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  /** Closes the file. A later append reopens it. */
  close(): void {
    if (this.writer !== undefined) closeSync(this.writer);
    this.writer = undefined;
  }

  /**
   * Writes the whole record or nothing, because a part, from a full disk, would hide every later
   * event, and one that could not be synced would be there twice after the next try.
   */
  private writeWhole(file: number, record: Buffer, sync: boolean): void {
    try {
      // A full disk takes a part, and then reports that it is full.
      for (let written = 0; written < record.length;) written += writeSync(file, record, written);
      if (sync) fsyncSync(file);
    } catch (error) {
      ftruncateSync(file, this.ends.at(-1));
      throw error;
    }
  }

  private index(): void {
    const data = readFileSync(this.path);
    let position = 0;
    while (position + HEADER_BYTES <= data.length) {
      const [length, checksum] = [data.readUInt32LE(position), data.readUInt32LE(position + 4)];
      const end = position + HEADER_BYTES + length;
      // A hole left by a power cut reads as zeros, which would look like an empty record.
      if (
        length === 0 ||
        end > data.length ||
        crc32(data.subarray(position + HEADER_BYTES, end)) !== checksum
      )
        break;
      this.ends.push(end);
      position = end;
    }
    if (position < data.length) {
      log(
        'WARNING',
        `${this.path}: cut ${data.length - position} bytes of an unfinished event ` +
          `after event ${this.lastSequence}`,
      );
      truncateSync(this.path, position);
    }
  }
}
