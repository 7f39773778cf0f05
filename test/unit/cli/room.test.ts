import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkRoom, listNeeds } from '../../../orchestrator/cli/room';
import { writePlan } from '../../../orchestrator/store/plan-store';
import { estimateRoom } from '../../../orchestrator/tasks/room';
import { catchError } from '../support/catch-error';
import { tinyPlan } from '../support/tiny-plan';

const needs = [
  { folder: `${tmpdir()}/checkpoints`, bytes: 3e9, elsewhere: '--root' },
  { folder: `${tmpdir()}/.sa-orch`, bytes: 3e7, elsewhere: '--state-dir' },
];

describe('room for a sweep', () => {
  it('is said in one line for each disk', () => {
    const said: string[] = [];
    checkRoom(
      needs,
      (mark, name, text) => said.push(`${mark} ${name} ${text}`),
      () => 70e9,
    );
    expect(said).toEqual([
      `✓ room about 3.0 GB needed, 70.0 GB free on the disk of ${tmpdir()}/checkpoints, ` +
        `${tmpdir()}/.sa-orch`,
    ]);
  });

  it('is not asked for again once a sweep was started', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sa-orch-room-'));
    const plan = tinyPlan();
    const needed = () => listNeeds(plan, folder, join(folder, 'state'), false);
    expect((await needed()).map(({ elsewhere }) => elsewhere)).toEqual(['--root', '--state-dir']);
    await writePlan(folder, plan);
    expect(await needed()).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('is too little where the folders of a disk need more together than it has', () => {
    const error = catchError(() =>
      checkRoom(
        needs,
        () => undefined,
        () => 3.01e9,
      ),
    );
    expect(error).toMatchObject({
      exitCode: 2,
      message:
        'too little room for this sweep: about 3.0 GB needed, 3.0 GB free on the disk of ' +
        `${tmpdir()}/checkpoints, ${tmpdir()}/.sa-orch`,
      hint: 'Free some space, use a larger disk (--root, --state-dir), or plan fewer trials.',
    });
  });

  it('grows with the trials that have no result and the data sets that are not there', () => {
    const plan = tinyPlan();
    const all = new Set(plan.trials.map(({ id }) => id));
    const [one] = all;
    const datasets = new Set(plan.datasets.map(({ digest }) => digest));
    const whole = estimateRoom(plan, all, new Set());
    expect(estimateRoom(plan, new Set([one!]), new Set())).toBeLessThan(whole);
    expect(estimateRoom(plan, all, datasets)).toBeLessThan(whole);
    expect(estimateRoom(plan, new Set(), datasets)).toBe(10e6);
  });
});
