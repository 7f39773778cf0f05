/** What a command that follows a sweep does when a service is down and nobody restarts it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { follow } from '../../../orchestrator/cli/follow';
import { ServiceWatch } from '../../../orchestrator/cli/service-watch';
import { findOutage } from '../../../orchestrator/cli/outage';
import {
  writeRuntimeConfig,
  type RuntimeConfig,
} from '../../../orchestrator/runtime/runtime-config';
import { runtimeStatus } from '../../../orchestrator/runtime/status';
import {
  logPath,
  statePath,
  writeSupervisorState,
  type ServiceRecord,
} from '../../../orchestrator/runtime/supervisor-state';
import { writePlan } from '../../../orchestrator/store/plan-store';
import { identify } from '../../../common/process-identity';
import { tinyPlan } from '../support/tiny-plan';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'sa-orch-outage-'));
  mkdirSync(join(stateDir, 'logs'));
  writeFileSync(logPath(stateDir, 'trainer'), 'loading\nno such device\n');
  writeRuntimeConfig(stateDir, {
    format: 3,
    temporal: { kind: 'embedded', address: '127.0.0.1:1' },
    local: { list: [{ name: 'trainer', address: 'unix:/nowhere.sock' }] },
    external: [],
  } as unknown as RuntimeConfig);
});
afterEach(() => rmSync(stateDir, { recursive: true }));

/** What a supervisor left about the trainer; that supervisor is gone. */
function leave(...records: Partial<ServiceRecord>[]): void {
  const trainer = (record: Partial<ServiceRecord>) => ({
    ...{ name: 'trainer', state: 'ready', address: null, process: null, restarts: 8, deaths: 8 },
    ...{ lastExit: 'exit status 5', log: logPath(stateDir, 'trainer'), logOffset: 0 },
    ...record,
  });
  writeSupervisorState(stateDir, {
    format: 1,
    supervisor: { pid: 1, started: 'never' },
    services: records.map(trainer) as ServiceRecord[],
  });
}

const lost = { pid: 1, started: 'never' };
const living = () => identify(process.pid)!;

test.each([
  ['that died too often', () => ({ state: 'failed' as const }), /trainer died again and again/],
  [
    'whose supervisor died, too',
    () => ({ process: lost }),
    /trainer is not running, and neither is the superv/,
  ],
  [
    'whose supervisor ended in order',
    () => ({ state: 'stopped' as const }),
    /trainer is not running, and neither is the superv/,
  ],
])('a service %s is an outage, with its log and what to do', (_, record, says) => {
  leave(record());
  const outage = findOutage(runtimeStatus(stateDir));
  expect(outage).toMatch(says);
  expect(outage).toContain(`(last: exit status 5); its log: ${logPath(stateDir, 'trainer')}`);
  expect(outage).toContain('`sa-orch up`');
});

test('a trainer that died too often is none while another one works', () => {
  leave({ state: 'failed' }, { name: 'trainer-2', process: living() });
  expect(findOutage(runtimeStatus(stateDir))).toBeNull();
  leave({ state: 'failed' }, { name: 'trainer-2', state: 'failed' });
  expect(findOutage(runtimeStatus(stateDir))).toMatch(/the trainer died(.|\n)*trainer-2 died/);
});

test('a service that lives without its supervisor is none', () => {
  leave({ process: living() });
  expect(findOutage(runtimeStatus(stateDir))).toBeNull();
});

test('an attached command says so at once, and ends when the outage lasts', async () => {
  leave({ state: 'failed' });
  const plan = tinyPlan();
  await writePlan(stateDir, plan);
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  const printed: string[] = [];
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  const { state, detail } = await follow(
    new Client({ connection }),
    { root: stateDir, stateDir },
    plan.sweep_id,
    stream as unknown as NodeJS.WriteStream,
    new AbortController().signal,
    1,
  );
  await connection.close();
  expect(state).toBe('out of service');
  expect(detail).toContain('the trainer died again and again');
  expect(printed[0]).toContain('no such device');
  expect(printed[0]).toContain('Otherwise this command ends in 1 s.');
});

test('services that cannot be looked at any more end it with an error to catch', async () => {
  leave({ process: living() });
  const watch = new ServiceWatch(stateDir, 60, () => undefined);
  try {
    expect(watch.hasEnded()).toBe(false);
    writeFileSync(statePath(stateDir), '{');
    await sleep(700);
    expect(() => watch.hasEnded()).toThrow(statePath(stateDir));
  } finally {
    watch.stop();
  }
});
