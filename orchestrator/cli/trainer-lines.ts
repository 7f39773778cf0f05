/** The trainers, a line for each. */
import { formatBytes } from '../base/format-bytes';
import { plural } from '../base/plural';
import { describeIdleWork, describeWork, type PoolPart } from './pool-view';
import type { TrainerStatus } from '../runtime/trainer-status';

/** One trainer for people: whether it works, on what, where, since when, and what it does. */
export function describeTrainer(trainer: TrainerStatus, part: PoolPart | undefined): string {
  const { name, state, device, gpu, threads, address, pid, since, restarts, last_exit } = trainer;
  const parts = [
    device,
    gpu === null ? null : `GPU ${gpu}`,
    threads === null ? null : plural(threads, 'thread'),
    describeMemory(trainer),
    name === address ? null : address,
    pid === null ? null : `pid ${pid}`,
    since === null ? null : `since ${formatTime(since)}`,
    restarts > 0 ? plural(restarts, 'restart') : null,
    trainer.sent === 0 ? null : `${formatBytes(trainer.sent)} sent`,
    trainer.received === 0 ? null : `${formatBytes(trainer.received)} received`,
    state === 'stopped' || state === 'failed' ? last_exit : null,
  ];
  const details = parts.filter((word) => word !== null).join(', ');
  const why = part?.why ? [`gets no work, or not all: ${part.why}`] : [];
  const describe = state === 'ready' ? describeWork : describeIdleWork;
  return [
    `${name.padEnd(12)} ${state.padEnd(12)} ${details}`.trimEnd(),
    ...[...why, ...(part?.work ?? []).map(describe)].map((line) => `  ${line}`),
  ].join('\n');
}

/** `41.2 GB of 80.0 GB in use`; null if that is not known. */
function describeMemory({ memory, memory_used: used }: TrainerStatus): string | null {
  if (memory === null || used === null) return null;
  return `${formatBytes(used)} of ${formatBytes(memory)} in use`;
}

/** `14:05`, or `2026-11-27 14:05` for another day, in this place's time. */
function formatTime(date: string, now = new Date()): string {
  const time = new Date(date);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}
