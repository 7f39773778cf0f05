import { refuseMixing } from '../../../orchestrator/cli/mixing';
import { Device } from '../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { buildPlan, buildResults, CPU, GPU, madeBy } from '../support/results';
import { catchError } from '../support/catch-error';

const plan = buildPlan();
const done = buildResults(plan).slice(0, 4);
const trainer = (framework: string, kind: string, name: string) => ({
  framework,
  devices: [Device.fromPartial({ kind, name })],
});

test('a start on another device names both and the ways out', () => {
  const results = done.map((result, i) => ({ ...result, provenance: madeBy(i < 1 ? CPU : GPU) }));
  const error = catchError(() => refuseMixing(plan, results, trainer('torch', 'cpu', 'Some CPU')));
  expect(error).toMatchObject({
    exitCode: 2,
    message:
      '3 trials of mrpc were made by torch on NVIDIA H100, and the trainer now is torch on cpu: ' +
      'the table would compare the 5 trials still to run with those',
    hint: expect.stringContaining('--mix-devices') as string,
  });
});

test.each([
  ['on the same framework and kind of device', CPU, done],
  ['whose other results do not say what made them', { ...CPU, framework: '' }, done],
  ['of which everything is done', GPU, buildResults(plan)],
  [
    'of which everything is done or stays failed',
    GPU,
    buildResults(plan).map((each, i) => ({
      ...each,
      status: i ? each.status : ('failed' as const),
    })),
  ],
  ['whose other trials failed', GPU, done.map((each) => ({ ...each, status: 'failed' as const }))],
])('a start %s goes on', (_, made, results) => {
  const before = results.map((result) => ({ ...result, provenance: madeBy(made) }));
  expect(() => refuseMixing(plan, before, trainer('torch', 'cpu', 'Another CPU'))).not.toThrow();
});
