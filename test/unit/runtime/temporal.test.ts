/** Which Temporal server is used, and with which program. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryLock, type LockFile } from '../../../common/lock-file';
import { identify, type ProcessIdentity } from '../../../common/process-identity';
import {
  writeRuntimeConfig,
  type RuntimeConfig,
} from '../../../orchestrator/runtime/runtime-config';
import {
  supervisorLockPath,
  writeSupervisorState,
  type ServiceRecord,
} from '../../../orchestrator/runtime/supervisor-state';
import { findTemporalBinary } from '../../../orchestrator/runtime/temporal-binary';
import {
  connectTemporal,
  externalTemporal,
  isServerStopped,
} from '../../../orchestrator/runtime/temporal-client';
import { serverArguments } from '../../../orchestrator/runtime/temporal-server';
import { writeProgram } from '../support/programs';

const onProgress = (): void => undefined;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-temporal-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the server', () => {
  it('is the embedded one unless the environment names another', () => {
    expect(externalTemporal({})).toBeUndefined();
    expect(externalTemporal({ TEMPORAL_NAMESPACE: 'mine' })).toBeUndefined();
    expect(
      externalTemporal({ TEMPORAL_ADDRESS: 'cluster:7233', TEMPORAL_NAMESPACE: 'mine' }),
    ).toEqual({
      kind: 'external',
      address: 'cluster:7233',
      namespace: 'mine',
    });
  });

  it('may come from a profile in a configuration file', () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.lab]\naddress = "lab:7233"\nnamespace = "sweeps"\n');
    expect(externalTemporal({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'lab' })).toMatchObject(
      {
        address: 'lab:7233',
        namespace: 'sweeps',
      },
    );
  });

  it('is not waited for once it has ended and nobody starts it again', async () => {
    const temporal = { kind: 'embedded', address: '127.0.0.1:9', namespace: 'default' };
    const config = { format: 2, temporal, trainer: { address: 'x' } } as unknown as RuntimeConfig;
    writeRuntimeConfig(folder, config);
    const self = identify(process.pid)!;
    const write = (server: ProcessIdentity | null) =>
      writeSupervisorState(folder, {
        format: 1,
        supervisor: { ...self, pid: 2 ** 30 },
        services: [{ name: 'temporal', process: server } as ServiceRecord],
      });
    write(null);
    expect(isServerStopped(folder)).toBe(true);
    await expect(connectTemporal(folder)).rejects.toMatchObject({
      message: 'the Temporal server is not running',
      exitCode: 3,
      hint: '`sa-orch up` starts it.',
    });
    // It lives, or somebody restarts it, or it is another one's.
    write(self);
    expect(isServerStopped(folder)).toBe(false);
    write(null);
    const lock = tryLock(supervisorLockPath(folder)) as LockFile;
    expect(isServerStopped(folder)).toBe(false);
    lock.release();
    writeRuntimeConfig(folder, { ...config, temporal: { ...config.temporal, kind: 'external' } });
    expect(isServerStopped(folder)).toBe(false);
  });

  it('is never localhost by mistake: a missing file, profile or address is an error', () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.lab]\nnamespace = "sweeps"\n');
    expect(() => externalTemporal({ TEMPORAL_CONFIG_FILE: '/none.toml' })).toThrow(
      'TEMPORAL_CONFIG_FILE names /none.toml, which does not exist',
    );
    expect(() =>
      externalTemporal({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'other' }),
    ).toThrow(/other/);
    expect(() => externalTemporal({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'lab' })).toThrow(
      /have no address/,
    );
  });

  it('keeps its database in the state directory and listens on the loopback interface only', () => {
    const temporal = {
      kind: 'embedded',
      binary: 't',
      version: '1',
      address: '127.0.0.1:7400',
      uiPort: 8400,
      namespace: 'default',
    } as const;
    const line = serverArguments('/state', temporal).join(' ');
    expect(line).toContain('--db-filename /state/temporal/temporal.db');
    expect(line).toContain('--ip 127.0.0.1 --port 7400 --ui-port 8400');
    expect(line).toContain('--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL');
  });

  it('has a binary that SA_ORCH_TEMPORAL names before the one on PATH', async () => {
    const named = writeProgram(folder, 'mine', 'echo "temporal version 1.5.0 (Server 1.29.0)"');
    writeProgram(folder, 'temporal', 'echo "temporal version 1.9.1"');
    expect(await findTemporalBinary(onProgress, { PATH: folder, SA_ORCH_TEMPORAL: named })).toEqual(
      { path: named, version: '1.5.0' },
    );
    expect(await findTemporalBinary(onProgress, { PATH: folder })).toMatchObject({
      version: '1.9.1',
    });
  });

  it('is refused where the named binary is missing or something else', async () => {
    const refused = (path: string): Promise<unknown> =>
      findTemporalBinary(onProgress, { PATH: folder, SA_ORCH_TEMPORAL: path });
    await expect(refused('/none')).rejects.toMatchObject({
      exitCode: 2,
      message: 'SA_ORCH_TEMPORAL names /none, which does not exist',
    });
    await expect(refused(writeProgram(folder, 'other', 'echo hello'))).rejects.toThrow(
      /is not a Temporal CLI: hello/,
    );
  });
});
