/** Services that are interrupted, killed, idle or elsewhere. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockHolder } from '../../common/lock-file';
import { runtimeStatus } from '../../orchestrator/runtime/status';
import { supervisorLockPath } from '../../orchestrator/runtime/supervisor-state';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(120_000);

describeTrainer('with a trainer of one’s own', () => {
  let toys: TrainerPlace;
  let toy: TrainerProcess;
  let place: Workplace;
  beforeAll(async () => {
    toys = new TrainerPlace();
    toy = await toys.start([], 'toy');
    place = new Workplace(join(toys.folder, 'place'), { HF_HUB_OFFLINE: '1' }, toys.root);
    const adapter = '{ kind: head_only }';
    writeFilmReviews(place.folder, { adapter, name: 'long', seeds: '[1, 2]', steps: 500_000 });
  });
  afterAll(async () => {
    await place.down();
    await toys.remove();
  });

  const trainer = () => ['--trainer', toys.address];
  const until = async (condition: () => boolean | Promise<boolean>) => {
    for (let tries = 0; !(await condition()); tries++) {
      if (tries > 200) throw new Error(`not so after long: ${condition.toString()}`);
      await sleep(100);
    }
  };

  test('Ctrl-C during set-up says what runs and how it is stopped', async () => {
    const up = place.spawn(['up', ...trainer()]);
    // Not asked of a process, in whose time everything might be ready.
    await until(() => lockHolder(supervisorLockPath(place.stateDir)) !== undefined);
    up.child.kill('SIGINT');
    const { status, stderr } = await up.ended;
    expect(status).toBe(130);
    expect(stderr).toMatch(/Services run in the background \(supervisor.*\); `\S+ \S+ down` stops/);
  });

  test('killed services are named at once by a command that follows a sweep', async () => {
    const start = place.spawn(['start', '--sweep', 'long.yaml', ...trainer()]);
    let said = '';
    start.child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => said.includes('· running'));
    await place.killService('worker');
    await until(() => /! the worker died \(killed by SIGKILL\); the supervisor/.test(said));
    await until(() => said.includes('! the worker works again'));
    await place.killService('supervisor');
    await until(() => said.includes('! the supervisor is gone'));
    await place.killService('temporal');
    await until(() => /the Temporal server is not running(.|\n)*`\S+ \S+ up` starts it/.test(said));
    start.child.kill('SIGINT');
    expect((await start.ended).status).toBe(130);
    await place.down();
  });

  test('a trainer elsewhere that is away is waited for, and does nothing meanwhile', async () => {
    await place.run(['start', '--sweep', 'long.yaml', ...trainer(), '--detach']);
    await place.moves('train');
    await toy.kill();
    const watch = place.spawn(['watch', 'long']);
    let said = '';
    watch.child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => /! trainer .*does not answer.*; it gets work once it does/.test(said));
    await until(() => /· running\n(.|\n)*t\.sock does not answer \(/.test(said));
    expect((await place.run(['status'])).stdout).toMatch(
      /t\.sock +away(.|\n)*\n {2}nothing: 2 trials of c01-\S+ wait for it\n/,
    );
    toy = await toys.start([], 'toy');
    await place.moves('train');
    watch.child.kill('SIGINT');
    expect((await watch.ended).status).toBe(130);
    await place.down();
  });

  test('without an open sweep they end, are listed as such, and come back', async () => {
    await place.run(['up', '--stop-after', '0.02', ...trainer()]);
    // The sweep of before is still open.
    const all = await place.run(['status', '--all', '--json']);
    expect(JSON.parse(all.stdout)).toMatchObject({ places: [{ folder: place.folder }] });
    await place.run(['cancel', '--force', 'long']);
    await until(() => runtimeStatus(place.stateDir).every(({ pid }) => pid === null));
    const { stdout, seconds } = await place.run(['status']);
    expect(stdout).toMatch(/worker +stopped .*no sweep was open for 0.02 minutes/);
    expect(stdout).toMatch(/long-\w+ +not running +0 of 2/);
    // It does not wait for a server that is known to be stopped.
    expect(seconds).toBeLessThan(8);
    expect((await place.run(['status', '--all'])).stdout).toContain('no services of this user');
    expect((await place.run(['up', '--stop-after', '0'])).status).toBe(0);
    expect(runtimeStatus(place.stateDir).map(({ state }) => state)).toContain('ready');
  });
});
