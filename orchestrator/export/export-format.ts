/** What every export format is. */
import type { Content } from '../../common/durable-files';
import type { TrainedTrial } from './trained-trial';

export const FORMAT_NAMES = ['peft', 'adapterhub', 'merged', 'safetensors'] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];

export interface ExportFormat {
  /** As a person calls it: `PEFT`. */
  title: string;
  /** The `library_name` of its model cards. */
  library: string;
  /**
   * Why it cannot hold a trial, as the rest of a sentence: `PEFT has no bottleneck adapters`; null
   * if it can.
   */
  findObstacle(trained: TrainedTrial): string | null;
  /** @throws UserError (exit 2) if the backbone is needed and missing, or another one */
  make(trained: TrainedTrial): Promise<Exported>;
}

/** A file's content, at once or in parts. */
export type FileContent = Content | AsyncIterable<Uint8Array>;

export interface Exported {
  files: Map<string, FileContent>;
  /** Code that loads it into `model`; the folder is `.`. */
  loading: string;
  /** What a reader must know, in sentences. */
  notes: string[];
  /** What removing whole units has saved; null if none is gone. */
  compacted: Compacted | null;
}

export interface Compacted {
  /** Units that were trained, and those that are left. */
  units: number;
  kept: number;
  /** Bytes of the modules' tensors before and after. */
  bytes: number;
  kept_bytes: number;
}
