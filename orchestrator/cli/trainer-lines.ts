/** The trainers, a line for each. */
import { plural } from '../base/plural';
import type { TrainerStatus } from '../runtime/trainer-status';

/** One trainer for people: whether it works, on what, where, and since when. */
export function describeTrainer(trainer: TrainerStatus): string {
  const { name, state, device, gpu, threads, address, pid, since, restarts, last_exit } = trainer;
  const parts = [
    device,
    gpu === null ? null : `GPU ${gpu}`,
    threads === null ? null : plural(threads, 'thread'),
    name === address ? null : address,
    pid === null ? null : `pid ${pid}`,
    since === null ? null : `since ${formatTime(since)}`,
    restarts > 0 ? plural(restarts, 'restart') : null,
    state === 'stopped' || state === 'failed' ? last_exit : null,
  ];
  const details = parts.filter((part) => part !== null).join(', ');
  return `${name.padEnd(12)} ${state.padEnd(12)} ${details}`.trimEnd();
}

/** `14:05`, or `2026-11-27 14:05` for another day, in this place's time. */
function formatTime(date: string, now = new Date()): string {
  const time = new Date(date);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}
