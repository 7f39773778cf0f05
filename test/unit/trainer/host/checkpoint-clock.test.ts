import { CheckpointClock } from '../../../../trainer/host/checkpoint-clock';

/**
 * When checkpoints are written, in seconds since the run began, by a loop that looks each second.
 * cost: seconds that writing takes.
 */
function dueTimes(interval: number, until: number, cost: number): number[] {
  let now = 0;
  const clock = new CheckpointClock(interval, () => now);
  const times: number[] = [];
  while (now < until) {
    now += 1;
    if (!clock.isDue()) continue;
    times.push(now);
    now += cost;
    clock.wrote(cost);
  }
  return times;
}

describe('checkpoints by time', () => {
  test('come at twice the time of the last one, up to the interval', () => {
    expect(dueTimes(180, 1000, 0)).toEqual([10, 20, 40, 80, 160, 320, 500, 680, 860]);
    expect(dueTimes(3, 10, 0)).toEqual([3, 6, 9]);
  });

  test('take less than 5 % of the time to write', () => {
    const times = dueTimes(180, 10_000, 30);
    expect(times.length * 30).toBeLessThan(500);
    expect(times.slice(0, 3)).toEqual([10, 640, 1270]);
  });

  test('never come without an interval', () => {
    expect(dueTimes(0, 10_000, 0)).toEqual([]);
  });
});
