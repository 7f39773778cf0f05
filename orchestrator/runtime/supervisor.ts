/**
 * Keeps services alive: starts them in order, checks their health, restarts what died, and gives up
 * on what dies too often.
 *
 * The services are independent processes: if the supervisor dies, they continue, and its successor
 * adopts them by pid and start time from the state file.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync } from 'node:fs';
import { makeFolder } from '../../common/make-folder';
import { describeFullDisk, findFullDisk, isDiskFull } from '../../common/disk-space';
import { openLog, rotateLog } from './log-file';
import {
  findByEnvironment,
  identify,
  isAlive,
  signalProcess,
  terminate,
} from '../../common/process-identity';
import { isTrainerName } from './runtime-config';
import type { Service } from './services';
import {
  logPath,
  readSupervisorState,
  writeSupervisorState,
  type ServiceRecord,
  type ServiceState,
} from './supervisor-state';

export interface SupervisorPolicy {
  /** Time between checks that processes are alive. */
  tickMs: number;
  /** Time between health checks of a ready service. */
  healthEveryMs: number;
  /** The pause before the first restart; it doubles with each death up to `maxBackoffMs`. */
  minBackoffMs: number;
  maxBackoffMs: number;
  /** A service that stays ready this long has its deaths reset to 0. */
  stableMs: number;
  /** After this many deaths without a stable period in between, a service has failed. */
  maxDeaths: number;
  /** A process that is not healthy this long after its start is killed. */
  startTimeoutMs: number;
  /**
   * A process that was healthy is killed after this many failed checks in a row. Counted rather
   * than timed, because a laptop may sleep.
   */
  maxFailedChecks: number;
  /** Time between SIGTERM and SIGKILL. */
  stopGraceMs: number;
  /** Time between looks at a full disk that keeps a service from being started. */
  fullDiskPauseMs: number;
  logBytes: number;
}

export const DEFAULT_POLICY: SupervisorPolicy = {
  tickMs: 250,
  healthEveryMs: 5000,
  minBackoffMs: 500,
  maxBackoffMs: 30_000,
  stableMs: 60_000,
  maxDeaths: 8,
  startTimeoutMs: 180_000,
  maxFailedChecks: 24,
  stopGraceMs: 25_000,
  fullDiskPauseMs: 1000,
  logBytes: 20_000_000,
};

const KEPT_LOGS = 3;
/**
 * Describes an end that we did not see: an adopted process's, or one whose exit event is yet to
 * come.
 */
const UNSEEN = 'ended';

export const TOKEN_VARIABLE = 'SA_ORCH_SERVICE_TOKEN';

/** What the supervisor knows about a service only during its own lifetime. */
interface Watch {
  checking: boolean;
  lastCheck: number;
  failedChecks: number;
  exit: string | null;
  /** Whether it waits for room on a full disk, which was said. */
  putOff: boolean;
}

export class Supervisor {
  private readonly records = new Map<string, ServiceRecord>();
  private readonly watches = new Map<string, Watch>();
  private stopping = false;
  private ownsFolder = true;
  private saved = '';
  /** Whether it was said that the disk is too full to save. */
  private saidFull = false;

  constructor(
    private readonly stateDir: string,
    private readonly services: readonly Service[],
    private readonly policy: SupervisorPolicy = DEFAULT_POLICY,
    private readonly say: (line: string) => void = () => undefined,
  ) {
    const before = readSupervisorState(stateDir)?.services ?? [];
    for (const service of services) {
      this.watches.set(service.name, {
        checking: false,
        lastCheck: 0,
        failedChecks: 0,
        exit: null,
        putOff: false,
      });
      this.records.set(
        service.name,
        this.adopt(
          service,
          before.find(({ name }) => name === service.name),
        ),
      );
    }
    makeFolder(stateDir);
    this.saveIfThereIsRoom();
  }

  /** Takes over a living process of the previous supervisor, or starts afresh. */
  private adopt(service: Service, before: ServiceRecord | undefined): ServiceRecord {
    const fresh: ServiceRecord = {
      ...{
        name: service.name,
        state: 'waiting',
        address: service.address,
        process: null,
        token: null,
        restarts: 0,
        deaths: 0,
      },
      ...{
        nextStart: 0,
        readySince: null,
        startedAt: null,
        lastExit: null,
        log: logPath(this.stateDir, service.name),
        logOffset: 0,
      },
    };
    // What happened before an end in order is history.
    if (before === undefined || before.state === 'stopped') return fresh;
    const unwritten =
      before.process === null && before.token !== null
        ? findByEnvironment(TOKEN_VARIABLE, before.token)
        : undefined;
    const process = unwritten ?? before.process;
    if (!isAlive(process))
      return {
        ...fresh,
        restarts: before.restarts + (before.process === null ? 0 : 1),
        lastExit: before.lastExit,
      };
    this.say(`${service.name}: adopted process ${process.pid}`);
    const state =
      before.state === 'ready' || before.state === 'unhealthy' ? before.state : 'starting';
    return { ...before, process, state, address: service.address };
  }

  /** Checks every service once. Never throws because of a service. */
  tick(): void {
    for (const service of this.services) {
      const record = this.record(service);
      if (this.stopping || record.state === 'failed' || record.state === 'stopped') continue;
      if (record.process === null) this.startIfDue(service, record);
      else if (isAlive(record.process)) this.look(service, record);
      else this.buried(service, record);
    }
    this.saveIfThereIsRoom();
  }

  private startIfDue(service: Service, record: ServiceRecord): void {
    const needed = service.needs === undefined ? undefined : this.records.get(service.needs);
    if (Date.now() < record.nextStart || (needed !== undefined && needed.state !== 'ready')) return;
    try {
      const full = findFullDisk(service.writesTo);
      if (full !== undefined) return this.putOff(service, record, full);
      service.beforeStart?.();
      this.start(service, record);
    } catch (error) {
      this.died(service, record, `could not be started: ${(error as Error).message}`);
    }
  }

  /** Leaves a service for later, until the disk has room. */
  private putOff(service: Service, record: ServiceRecord, full: string): void {
    const watch = this.watch(service);
    if (!watch.putOff) this.say(`${service.name}: ${full}`);
    watch.putOff = true;
    record.lastExit = full;
    record.nextStart = Date.now() + this.policy.fullDiskPauseMs;
  }

  private start(service: Service, record: ServiceRecord): void {
    const { descriptor, offset } = openLog(record.log);
    Object.assign(record, {
      token: randomUUID(),
      logOffset: offset,
      startedAt: Date.now(),
      readySince: null,
      state: 'starting',
    });
    // Saved before the process exists: if this supervisor dies in between, the next one finds the
    // process by its token.
    this.save();
    const { file, args, env } = service.command;
    const child = spawn(file, args, {
      env: { ...process.env, ...env, [TOKEN_VARIABLE]: record.token ?? '' },
      detached: true,
      stdio: ['ignore', descriptor, descriptor],
    });
    closeSync(descriptor);
    const watch = this.watch(service);
    Object.assign(watch, { exit: null, failedChecks: 0, lastCheck: 0, putOff: false });
    child.on('error', (error) => {
      watch.exit = error.message;
    });
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exit status ${code}` : `killed by ${signal}`;
      // A check may have found it dead before this event came.
      if (record.process?.pid === child.pid) watch.exit ??= how;
      else if (record.lastExit === UNSEEN) record.lastExit = how;
      this.tick();
    });
    child.unref();
    record.process =
      child.pid === undefined ? null : (identify(child.pid) ?? { pid: child.pid, started: 'gone' });
    if (record.process === null) throw new Error(watch.exit ?? `${file} cannot be run`);
    this.say(`${service.name}: started as process ${record.process.pid}`);
    this.saveIfThereIsRoom();
  }

  /** Checks a living process's health. */
  private look(service: Service, record: ServiceRecord): void {
    const watch = this.watch(service);
    const now = Date.now();
    if (
      record.state === 'starting' &&
      now - (record.startedAt ?? now) > this.policy.startTimeoutMs
    ) {
      return this.kill(
        service,
        record,
        `was not ready ${this.policy.startTimeoutMs / 1000} s after its start`,
      );
    }
    if (
      record.state === 'ready' &&
      record.deaths > 0 &&
      now - (record.readySince ?? now) > this.policy.stableMs
    )
      record.deaths = 0;
    if (rotateLog(record.log, this.policy.logBytes, KEPT_LOGS)) record.logOffset = 0;
    const every = record.state === 'starting' ? this.policy.tickMs : this.policy.healthEveryMs;
    if (watch.checking || now - watch.lastCheck < every) return;
    watch.checking = true;
    watch.lastCheck = now;
    void this.check(service, record, watch);
  }

  private async check(service: Service, record: ServiceRecord, watch: Watch): Promise<void> {
    const asked = record.process;
    let healthy: boolean;
    try {
      healthy = await service.isHealthy(record);
      if (healthy && record.state === 'starting') await service.onHealthy?.();
    } catch (error) {
      healthy = false;
      this.say(`${service.name}: ${(error as Error).message}`);
    }
    watch.checking = false;
    // The process may have died and been replaced while we were asking.
    if (this.stopping || record.process !== asked || !isAlive(asked)) return;
    if (healthy) {
      watch.failedChecks = 0;
      if (record.state !== 'ready') this.became(service, record, 'ready');
      record.readySince ??= Date.now();
    } else if (record.state !== 'starting') {
      watch.failedChecks += 1;
      if (record.state === 'ready') this.became(service, record, 'unhealthy');
      if (watch.failedChecks >= this.policy.maxFailedChecks)
        this.kill(service, record, `did not answer ${watch.failedChecks} times`);
    }
    this.saveIfThereIsRoom();
  }

  private became(service: Service, record: ServiceRecord, state: ServiceState): void {
    record.state = state;
    this.say(`${service.name}: ${state}`);
  }

  /** Kills a process that does not work; the next check finds it dead and handles that. */
  private kill(service: Service, record: ServiceRecord, reason: string): void {
    this.watch(service).exit = `${reason}, so it was killed`;
    if (record.process) signalProcess(record.process, 'SIGKILL');
  }

  /** Records the end of a process, with its exit if this supervisor saw it. */
  private buried(service: Service, record: ServiceRecord): void {
    record.process = null;
    record.token = null;
    record.restarts += 1;
    this.died(service, record, this.watch(service).exit ?? UNSEEN);
  }

  private died(service: Service, record: ServiceRecord, how: string): void {
    record.readySince = null;
    const full = findFullDisk(service.writesTo);
    if (full !== undefined) {
      // No fault of its own: it does not count.
      record.state = 'waiting';
      this.say(`${service.name}: ${how}`);
      return this.putOff(service, record, full);
    }
    record.deaths += 1;
    record.lastExit = how;
    const failed = record.deaths >= this.policy.maxDeaths;
    const pause = Math.min(
      this.policy.minBackoffMs * 2 ** (record.deaths - 1),
      this.policy.maxBackoffMs,
    );
    record.state = failed ? 'failed' : 'waiting';
    record.nextStart = Date.now() + pause;
    this.say(
      `${service.name}: ${how}; ` +
        (failed
          ? `died ${record.deaths} times, not restarting`
          : `restarting in ${pause / 1000} s`),
    );
  }

  /** Gives failed services another set of tries. */
  retryFailed(): void {
    for (const record of this.records.values()) {
      if (record.state === 'failed')
        Object.assign(record, { state: 'waiting', deaths: 0, nextStart: 0 });
    }
  }

  /** Whether every service works, or is a trainer that is given up while another one works. */
  isReady(): boolean {
    const records = [...this.records.values()];
    const trainerWorks = records.some(
      ({ name, state }) => isTrainerName(name) && state === 'ready',
    );
    return records.every(
      ({ name, state }) =>
        state === 'ready' || (state === 'failed' && isTrainerName(name) && trainerWorks),
    );
  }

  /** Writes nothing more: the state directory was removed, and may be another supervisor's now. */
  disown(): void {
    this.ownsFolder = false;
  }

  /**
   * Stops every service, those that need others first.
   *
   * @param why is recorded as the end of each
   */
  async stop(why = 'stopped'): Promise<void> {
    this.stopping = true;
    const needed = new Set(this.services.map(({ needs }) => needs));
    for (const wave of [
      this.services.filter(({ name }) => !needed.has(name)),
      this.services.filter(({ name }) => needed.has(name)),
    ]) {
      await Promise.all(wave.map((service) => this.stopOne(service, why)));
    }
    this.saveIfThereIsRoom();
  }

  private async stopOne(service: Service, why: string): Promise<void> {
    const record = this.record(service);
    if (record.process) {
      const how = await terminate(record.process, this.policy.stopGraceMs);
      this.say(`${service.name}: ${how}`);
      record.lastExit =
        how === 'killed' ? `killed: did not stop in ${this.policy.stopGraceMs / 1000} s` : why;
    }
    Object.assign(record, { state: 'stopped', process: null, token: null, readySince: null });
  }

  private record(service: Service): ServiceRecord {
    const record = this.records.get(service.name);
    if (record === undefined) throw new Error(`no record of ${service.name}`);
    return record;
  }

  private watch(service: Service): Watch {
    const watch = this.watches.get(service.name);
    if (watch === undefined) throw new Error(`no watch of ${service.name}`);
    return watch;
  }

  /** `save`, or, on a full disk, nothing: the next check tries again. */
  private saveIfThereIsRoom(): void {
    try {
      this.save();
      this.saidFull = false;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (!this.saidFull) this.say(describeFullDisk(this.stateDir, error));
      this.saidFull = true;
    }
  }

  private save(): void {
    const self = identify(process.pid);
    if (self === undefined) throw new Error('this process cannot find itself');
    const state = { format: 1 as const, supervisor: self, services: [...this.records.values()] };
    const text = JSON.stringify(state);
    // A removed state directory must stay removed.
    if (text === this.saved || !this.ownsFolder || !existsSync(this.stateDir)) return;
    writeSupervisorState(this.stateDir, state);
    this.saved = text;
  }
}
