/** Looks for a GPU without loading a framework. */
import { existsSync } from 'node:fs';
import { findOnPath } from './run-command';

/**
 * Whether a trainer that is started here on `device` would compute on a GPU. CUDA_VISIBLE_DEVICES
 * hides every one where it is empty or begins with −1.
 */
export function expectsGpu(device: string, env: NodeJS.ProcessEnv = process.env): boolean {
  if (device !== 'auto') return device !== 'cpu';
  return detectGpu() && !/^\s*(-1|$)/.test(env.CUDA_VISIBLE_DEVICES ?? 'all');
}

/** Whether this machine has an NVIDIA GPU that its driver knows of. */
export function detectGpu(): boolean {
  return existsSync('/dev/nvidiactl') || findOnPath('nvidia-smi') !== undefined;
}
