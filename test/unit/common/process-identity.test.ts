import { once } from 'node:events';
import {
  findByEnvironment,
  identify,
  isAlive,
  signalProcess,
  terminate,
} from '../../../common/process-identity';
import { shellProcesses } from '../support/processes';

const { start, killAll } = shellProcesses();
afterEach(killAll);

describe('a process identity', () => {
  it('is the same for a living process whenever one asks, and gone when it is dead', async () => {
    const child = start('exec sleep 60');
    const identity = identify(child.pid);
    expect(identity).toEqual(identify(child.pid));
    expect(isAlive(identity)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).toBe(false);
    expect(identify(child.pid)).toBeUndefined();
  });

  it('protects a process that has the pid of another one: it is not signalled', () => {
    const child = start('exec sleep 60');
    expect(signalProcess({ pid: child.pid, started: 'another' }, 'SIGKILL')).toBe(false);
    expect(identify(child.pid)).toBeDefined();
  });

  it('counts a process that ended and was not reaped as dead', async () => {
    // sh starts a child that ends at once, then becomes a program that never reaps it.
    const parent = start('sh -c "exit 0" & echo $!; exec sleep 60');
    const [line] = (await once(parent.stdout ?? process.stdin, 'data')) as [Buffer];
    const zombie = Number(String(line).trim());
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(identify(zombie)).toBeUndefined();
  });

  it('is found by a value in the environment', () => {
    const child = start('exec sleep 60', { SA_ORCH_TEST_TOKEN: `token-${process.pid}` });
    expect(findByEnvironment('SA_ORCH_TEST_TOKEN', `token-${process.pid}`)).toEqual(
      identify(child.pid),
    );
    expect(findByEnvironment('SA_ORCH_TEST_TOKEN', 'nobody')).toBeUndefined();
  });
});

describe('terminate', () => {
  it('lets a process end by itself', async () => {
    const child = start('exec sleep 60');
    const identity = identify(child.pid);
    expect(identity && (await terminate(identity, 5000))).toBe('stopped');
  });

  it('kills one that ignores SIGTERM when its time of grace is over', async () => {
    const child = start('trap "" TERM; echo ready; while :; do sleep 0.1; done');
    await once(child.stdout ?? process.stdin, 'data');
    const identity = identify(child.pid);
    expect(identity && (await terminate(identity, 300))).toBe('killed');
    expect(isAlive(identity)).toBe(false);
  });
});
