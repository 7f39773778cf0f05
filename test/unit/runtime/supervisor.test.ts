import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isAlive, signalProcess } from '../../../common/process-identity';
import { down } from '../../../orchestrator/runtime/down';
import type { Service } from '../../../orchestrator/runtime/services';
import {
  DEFAULT_POLICY,
  Supervisor,
  TOKEN_VARIABLE,
  type SupervisorPolicy,
} from '../../../orchestrator/runtime/supervisor';
import { FullDisk } from '../support/full-disk';
import {
  readSupervisorState,
  writeSupervisorState,
  type ServiceRecord,
} from '../../../orchestrator/runtime/supervisor-state';

const QUICK: SupervisorPolicy = {
  ...DEFAULT_POLICY,
  minBackoffMs: 40,
  maxBackoffMs: 160,
  healthEveryMs: 30,
  tickMs: 10,
  stopGraceMs: 400,
};

let folder: string;
let timers: NodeJS.Timeout[];
let supervisors: Supervisor[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-supervisor-'));
  timers = [];
  supervisors = [];
});
afterEach(async () => {
  jest.restoreAllMocks();
  timers.forEach(clearInterval);
  await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
  rmSync(folder, { recursive: true, force: true });
});

/** A service that is a shell script. */
function toy(name: Service['name'], script: string, more: Partial<Service> = {}): Service {
  return {
    name,
    address: null,
    command: { file: 'sh', args: ['-c', script], env: {} },
    writesTo: [folder],
    isHealthy: () => Promise.resolve(true),
    ...more,
  };
}

function supervise(
  services: Service[],
  policy: Partial<SupervisorPolicy> = {},
): { supervisor: Supervisor; leave: () => void } {
  const supervisor = new Supervisor(folder, services, { ...QUICK, ...policy });
  const timer = setInterval(() => supervisor.tick(), QUICK.tickMs);
  timers.push(timer);
  supervisors.push(supervisor);
  return { supervisor, leave: () => clearInterval(timer) };
}

function makeRecord(name: Service['name']): ServiceRecord {
  const found = readSupervisorState(folder)?.services.find((record) => record.name === name);
  if (found === undefined) throw new Error(`no record of ${name}`);
  return found;
}

async function until(
  name: Service['name'],
  holds: (record: ServiceRecord) => boolean,
): Promise<ServiceRecord> {
  for (const deadline = Date.now() + 8000; Date.now() < deadline; await sleep(10)) {
    if (holds(makeRecord(name))) return makeRecord(name);
  }
  throw new Error(`still ${JSON.stringify(makeRecord(name))}`);
}

describe('the supervisor', () => {
  it('starts a service again when its process is killed', async () => {
    supervise([toy('trainer', 'exec sleep 60')]);
    const first = await until('trainer', ({ state }) => state === 'ready');
    if (first.process) signalProcess(first.process, 'SIGKILL');
    const second = await until(
      'trainer',
      ({ state, process }) => state === 'ready' && process?.pid !== first.process?.pid,
    );
    expect(second).toMatchObject({ restarts: 1, deaths: 1, lastExit: 'killed by SIGKILL' });
    expect(isAlive(second.process)).toBe(true);
  });

  it('doubles its wait after each death, then gives up and keeps the last lines', async () => {
    const services = [
      toy('worker', `date +%s%N >> ${join(folder, 'starts')}; echo cannot work; exit 3`, {
        isHealthy: () => Promise.resolve(false),
      }),
    ];
    supervise(services, { maxDeaths: 4 });
    const record = await until('worker', ({ state }) => state === 'failed');
    expect(record).toMatchObject({ deaths: 4, process: null, lastExit: 'exit status 3' });
    expect(readFileSync(record.log, 'utf8')).toContain('cannot work');
    const starts = readFileSync(join(folder, 'starts'), 'utf8')
      .trim()
      .split('\n')
      .map((ns) => Number(ns) / 1e6);
    const pauses = starts.slice(1).map((start, i) => start - (starts[i] ?? 0));
    expect(pauses.map((pause, i) => pause >= 40 * 2 ** i)).toEqual([true, true, true]);
    await sleep(300);
    expect(readFileSync(join(folder, 'starts'), 'utf8').trim().split('\n')).toHaveLength(4);
  });

  it('outlives a full disk, which is no fault of the services that die of it', async () => {
    const disk = new FullDisk();
    const said: string[] = [];
    const policy = { ...QUICK, maxDeaths: 1, fullDiskPauseMs: 20 };
    const services = [toy('worker', `exec sleep 60`), toy('trainer', 'exec sleep 60')];
    const supervisor = new Supervisor(folder, services, policy, (line) => said.push(line));
    supervisors.push(supervisor);
    timers.push(setInterval(() => supervisor.tick(), QUICK.tickMs));
    const { process: first } = await until('worker', ({ state }) => state === 'ready');
    const { process: other } = await until('trainer', ({ state }) => state === 'ready');
    disk.isFull = true;
    signalProcess(first!, 'SIGKILL');
    for (const deadline = Date.now() + 8000; Date.now() < deadline; await sleep(10))
      if (said.some((line) => line.startsWith('worker: no room on the disk'))) break;
    await sleep(100);
    expect(said.filter((line) => line.startsWith('worker: no room'))).toHaveLength(1);
    disk.isFull = false;
    const second = await until(
      'worker',
      ({ state, process }) => state === 'ready' && process?.pid !== first?.pid,
    );
    expect(second).toMatchObject({ deaths: 0, restarts: 1 });
    expect(makeRecord('trainer').process).toEqual(other);
  });

  it('gives a failed service another set of tries when it is asked to', async () => {
    const switchedOn = join(folder, 'on');
    const { supervisor } = supervise(
      [toy('worker', `test -e ${switchedOn} && exec sleep 60; exit 1`)],
      { maxDeaths: 1 },
    );
    await until('worker', ({ state }) => state === 'failed');
    writeFileSync(switchedOn, '');
    supervisor.retryFailed();
    expect(await until('worker', ({ state }) => state === 'ready')).toMatchObject({ deaths: 0 });
  });

  it('forgets deaths when a service has been ready for a while', async () => {
    supervise(
      [toy('worker', `test -e ${folder}/seen && exec sleep 60; touch ${folder}/seen; exit 1`)],
      { stableMs: 100 },
    );
    await until('worker', ({ deaths, state }) => deaths > 0 && state === 'ready');
    expect(await until('worker', ({ deaths }) => deaths === 0)).toMatchObject({
      state: 'ready',
      restarts: 1,
    });
  });

  it('starts a service only when the one that it needs is ready', async () => {
    let serverIsUp = false;
    const started: string[] = [];
    const server = toy('temporal', 'exec sleep 60', {
      isHealthy: () => Promise.resolve(serverIsUp),
      onHealthy: () => Promise.resolve(void started.push('temporal')),
    });
    supervise([
      server,
      toy('worker', 'exec sleep 60', {
        needs: 'temporal',
        beforeStart: () => void started.push('worker'),
      }),
    ]);
    await until('temporal', ({ state }) => state === 'starting');
    await sleep(100);
    expect(makeRecord('worker').state).toBe('waiting');
    serverIsUp = true;
    await until('worker', ({ state }) => state === 'ready');
    expect(started).toEqual(['temporal', 'worker']);
  });

  it('kills a process that lives and no longer answers, and starts it again', async () => {
    let answers = true;
    supervise([toy('trainer', 'exec sleep 60', { isHealthy: () => Promise.resolve(answers) })], {
      maxFailedChecks: 3,
    });
    const first = await until('trainer', ({ state }) => state === 'ready');
    answers = false;
    const restarted = await until('trainer', ({ restarts }) => restarts === 1);
    expect(restarted.lastExit).toBe('did not answer 3 times, so it was killed');
    expect(isAlive(first.process)).toBe(false);
  });

  it('that died is succeeded by one that adopts the living and starts only the dead', async () => {
    const services = [toy('trainer', 'exec sleep 60'), toy('worker', 'exec sleep 60')];
    supervise(services).leave();
    supervisors[0]?.tick();
    const trainer = makeRecord('trainer').process;
    const worker = makeRecord('worker').process;
    if (worker) signalProcess(worker, 'SIGKILL');
    supervise(services);
    const newWorker = await until('worker', ({ state }) => state === 'ready');
    expect((await until('trainer', ({ state }) => state === 'ready')).process).toEqual(trainer);
    expect(newWorker.process?.pid).not.toBe(worker?.pid);
    expect(newWorker.restarts).toBe(1);
  });

  it('counts nothing of before an end in order', async () => {
    const services = [toy('trainer', 'exec sleep 60')];
    const { supervisor, leave } = supervise(services);
    const first = await until('trainer', ({ state }) => state === 'ready');
    signalProcess(first.process!, 'SIGKILL');
    await until('trainer', ({ state, restarts }) => state === 'ready' && restarts === 1);
    leave();
    await supervisor.stop();
    expect(makeRecord('trainer')).toMatchObject({ restarts: 1, lastExit: 'stopped' });
    supervise(services);
    expect(await until('trainer', ({ state }) => state === 'ready')).toMatchObject({
      ...{ restarts: 0, lastExit: null },
    });
  });

  it('counts nothing either of before `down`, had its predecessor been killed', async () => {
    const services = [toy('trainer', 'exec sleep 60')];
    supervise(services).leave();
    supervisors[0]?.tick();
    const { process: first } = makeRecord('trainer');
    const nothing = () => undefined;
    await down({ stateDir: folder, beforeStop: () => Promise.resolve([]), onProgress: nothing });
    expect(isAlive(first)).toBe(false);
    expect(makeRecord('trainer')).toMatchObject({ state: 'stopped', process: null });
    supervise(services);
    expect(await until('trainer', ({ state }) => state === 'ready')).toMatchObject({ restarts: 0 });
  });

  it('finds a process that its predecessor started and did not live to write down', async () => {
    const services = [toy('trainer', 'exec sleep 60')];
    supervise(services).leave();
    supervisors[0]?.tick();
    const before = readSupervisorState(folder);
    const record = makeRecord('trainer');
    if (before === undefined) throw new Error('no state');
    // What the file held in the moment between the start and the note of the pid.
    writeSupervisorState(folder, { ...before, services: [{ ...record, process: null }] });
    supervise(services);
    expect((await until('trainer', ({ state }) => state === 'ready')).process).toEqual(
      record.process,
    );
  });

  it('does not take another process for its own when pids have been given away', async () => {
    const self = identify(process.pid);
    const services = [toy('trainer', 'exec sleep 60')];
    supervise(services).leave();
    const state = readSupervisorState(folder);
    if (state === undefined || self === undefined) throw new Error('no state');
    writeSupervisorState(folder, {
      ...state,
      services: [
        { ...makeRecord('trainer'), process: { pid: self.pid, started: 'before the reboot' } },
      ],
    });
    supervise(services);
    expect((await until('trainer', ({ state }) => state === 'ready')).process?.pid).not.toBe(
      self.pid,
    );
  });

  it('stops what needs others before what it needs, and kills what does not stop', async () => {
    const order: string[] = [];
    const note = (name: string): string =>
      `trap 'echo ${name} >> ${folder}/order; exit 0' TERM; while :; do sleep 0.02; done`;
    const stubborn = `trap '' TERM; echo up > ${folder}/up; while :; do sleep 0.02; done`;
    const { supervisor, leave } = supervise([
      toy('temporal', note('temporal')),
      toy('worker', note('worker'), { needs: 'temporal' }),
      toy('trainer', stubborn),
    ]);
    await until('worker', ({ state }) => state === 'ready');
    await until('trainer', () => existsSync(join(folder, 'up')));
    await sleep(100);
    const trainer = makeRecord('trainer').process;
    leave();
    await supervisor.stop();
    order.push(...readFileSync(join(folder, 'order'), 'utf8').trim().split('\n'));
    expect(order).toEqual(['worker', 'temporal']);
    expect(isAlive(trainer)).toBe(false);
    expect(makeRecord('trainer')).toMatchObject({
      state: 'stopped',
      lastExit: 'killed: did not stop in 0.4 s',
    });
  });

  it('hands each process a token of its own, by which it can be found', async () => {
    supervise([toy('worker', `echo $${TOKEN_VARIABLE}; exec sleep 60`)]);
    const { log, token } = await until('worker', ({ state }) => state === 'ready');
    await until('worker', () => readFileSync(log, 'utf8').length > 1);
    expect(readFileSync(log, 'utf8').trim()).toBe(token);
  });

  it('reports a program that cannot be run, and tries again', async () => {
    supervise(
      [toy('worker', '', { command: { file: join(folder, 'missing'), args: [], env: {} } })],
      { maxDeaths: 2 },
    );
    expect(await until('worker', ({ state }) => state === 'failed')).toMatchObject({
      deaths: 2,
      process: null,
    });
    expect(makeRecord('worker').lastExit).toMatch(/could not be started/);
  });
});
