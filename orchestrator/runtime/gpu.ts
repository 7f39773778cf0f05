/** Looks for a GPU without loading a framework. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
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
export function detectGpu(env: NodeJS.ProcessEnv = process.env): boolean {
  return existsSync('/dev/nvidiactl') || findOnPath('nvidia-smi', env) !== undefined;
}

const DRIVER_LIST = '/proc/driver/nvidia/gpus';
/** A driver that is being loaded takes seconds. */
const TOOL_MS = 20_000;

/**
 * The NVIDIA GPUs that a process started here would see, each as the value of CUDA_VISIBLE_DEVICES
 * with which it would see this one alone: an index, a UUID or the id of a MIG instance. Empty also
 * where nothing can count them.
 */
export function listVisibleGpus(env: NodeJS.ProcessEnv = process.env): string[] {
  if (!detectGpu(env)) return [];
  const all = listGpus(env);
  if (env.CUDA_VISIBLE_DEVICES === undefined) return all.flatMap((instances) => instances);
  const visible: string[] = [];
  // As CUDA reads it: what follows something that is no device does not count.
  for (const word of env.CUDA_VISIBLE_DEVICES.split(',').map((each) => each.trim())) {
    const isIndex = /^\d+$/.test(word) && (all.length === 0 || Number(word) < all.length);
    if (!isIndex && !/^(GPU|MIG)-/.test(word)) break;
    if (!visible.includes(word)) visible.push(word);
  }
  return visible;
}

/** For each GPU of this machine its index, or the ids of the MIG instances it is split into. */
function listGpus(env: NodeJS.ProcessEnv): string[][] {
  const gpus: string[][] = [];
  const instances: string[][] = [];
  for (const line of listByTool(env).split('\n')) {
    const [, index] = /^GPU (\d+):/.exec(line) ?? [];
    if (index !== undefined) {
      gpus.push([index]);
      instances.push([]);
    }
    const [, instance] = /^\s+MIG .*\(UUID: (MIG-[^)]+)\)/.exec(line) ?? [];
    if (instance !== undefined) instances.at(-1)?.push(instance);
  }
  if (gpus.length > 0)
    return gpus.map((gpu, at) => (instances[at]!.length > 0 ? instances[at]! : gpu));
  const found = existsSync(DRIVER_LIST) ? readdirSync(DRIVER_LIST) : [];
  return found.map((_, index) => [String(index)]);
}

/** What `nvidia-smi -L` prints; empty if it is not there or fails. */
function listByTool(env: NodeJS.ProcessEnv): string {
  const tool = findOnPath('nvidia-smi', env);
  if (tool === undefined) return '';
  try {
    return execFileSync(tool, ['-L'], {
      ...{ env, encoding: 'utf8', timeout: TOOL_MS, stdio: ['ignore', 'pipe', 'ignore'] },
    });
  } catch {
    return '';
  }
}
