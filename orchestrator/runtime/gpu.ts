/** Looks for a GPU without loading a framework. */
import { existsSync } from 'node:fs';
import { findOnPath } from './run-command';

/** Whether this machine has an NVIDIA GPU that its driver knows of. */
export function detectGpu(): boolean {
  return existsSync('/dev/nvidiactl') || findOnPath('nvidia-smi') !== undefined;
}
