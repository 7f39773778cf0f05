/** Which trainers a sweep uses, and what it says of the others. */
import type { Capabilities } from '../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { Precision } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { chooseTrainers, type Candidate } from '../../../orchestrator/cli/choose-trainers';
import type { Plan } from '../../../orchestrator/sweep/types';
import { catchError } from '../support/catch-error';

const trainer = (name: string, changes: Partial<Capabilities> = {}): Candidate => ({
  trainer: { name, address: `${name}:1` },
  capabilities: {
    ...{ framework: 'torch', slots: 1, precisions: [Precision.PRECISION_BF16] },
    devices: [{ kind: 'cpu', name: 'Xeon', memoryBytes: 0, memoryUsedBytes: 0, threads: 1 }],
    ...changes,
  } as Capabilities,
});
const onGpu = (name: string, gpu = 'H100', changes: Partial<Capabilities> = {}): Candidate =>
  trainer(name, {
    devices: [{ kind: 'cuda', name: gpu, memoryBytes: 0, memoryUsedBytes: 0, threads: 0 }],
    ...changes,
  });

/** The plan says for which precision it was made. */
function choose(candidates: Candidate[], more: { mixDevices?: boolean; unfit?: string[] } = {}) {
  const said: string[] = [];
  const { plan, ...choice } = chooseTrainers(candidates, {
    planWith: (precision) => ({ name: precision }) as Plan,
    check: (_, { trainer: { name } }) => {
      return more.unfit?.includes(name) ? [`${name} has no snip`] : [];
    },
    mixDevices: more.mixDevices ?? false,
    hint: () => 'use another',
    onProgress: (mark, name, text) => said.push(`${mark} ${name} ${text}`),
  });
  const { kind, slots } = choice;
  return { precision: plan.name, kind, slots, said };
}

test('trainers of one kind are all used, in silence', () => {
  expect(choose([onGpu('a'), onGpu('b', 'H100', { slots: 2 })])).toEqual({
    ...{ precision: 'bf16', kind: 'torch on H100', slots: 3, said: [] },
  });
});

test('of several kinds, the one with the most slots is used, and said', () => {
  const all = [trainer('laptop'), onGpu('a'), onGpu('b'), onGpu('old', 'V100')];
  expect(choose(all)).toEqual({
    ...{ precision: 'bf16', kind: 'torch on H100', slots: 2 },
    said: [
      '! trainers this sweep uses 2 trainers of the kind torch on H100; set aside: ' +
        'laptop (torch on cpu), old (torch on V100); --mix-devices uses all',
    ],
  });
  expect(choose(all, { mixDevices: true })).toMatchObject({ kind: null, slots: 4, said: [] });
});

test('those that cannot run it are named with the reason and do not count', () => {
  expect(choose([trainer('laptop'), onGpu('a'), onGpu('b')], { unfit: ['a', 'b'] })).toEqual({
    ...{ precision: 'float32', kind: 'torch on cpu', slots: 1 },
    said: ['! a cannot run this sweep: a has no snip', '! b cannot run this sweep: b has no snip'],
  });
});

test('it is refused only if none can', () => {
  expect(catchError(() => choose([onGpu('a')], { unfit: ['a'] }))).toMatchObject({
    ...{ exitCode: 2, hint: 'use another' },
    message: 'the trainer at a:1 cannot run this sweep:\n  a has no snip',
  });
  const both = catchError(() => choose([onGpu('a'), trainer('b')], { unfit: ['a', 'b'] }));
  expect(both.message).toBe(
    'none of 2 trainers can run this sweep:\n  a: a has no snip\n  b: b has no snip',
  );
});
