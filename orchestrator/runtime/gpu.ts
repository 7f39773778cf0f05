/** Looks for a GPU without loading a framework. */
import { existsSync } from 'node:fs';
import { findOnPath } from './run-command';

/**
 * Whether a trainer started here on `device` would compute on a GPU. CUDA_VISIBLE_DEVICES hides all
 * GPUs if it is empty or begins with −1.
 */
export function expectsGpu(device: string, env: NodeJS.ProcessEnv = process.env): boolean {
  if (device !== 'auto') return device !== 'cpu';
  return detectGpu() && !/^\s*(-1|$)/.test(env.CUDA_VISIBLE_DEVICES ?? 'all');
}

/** Whether this machine seems to have an NVIDIA driver, and so a GPU. */
export function detectGpu(): boolean {
  return existsSync('/dev/nvidiactl') || findOnPath('nvidia-smi') !== undefined;
}
