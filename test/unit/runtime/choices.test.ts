/** Which server, interpreter and settings are chosen, and what is said where none fits. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { examine } from '../../../orchestrator/runtime/doctor';
import type { DeviceName } from '../../../common/device';
import { parseDevice } from '../../../orchestrator/cli/options';
import { UserError } from '../../../orchestrator/base/errors';
import { findBasePython, probeInterpreter } from '../../../orchestrator/runtime/python';
import { findOnPath, runCommand } from '../../../orchestrator/runtime/run-command';
import type { LocalTrainer, RuntimeConfig } from '../../../orchestrator/runtime/runtime-config';
import { refuseOtherWishes } from '../../../orchestrator/runtime/runtime-plan';
import { servicesFor } from '../../../orchestrator/runtime/services';
import { findTemporalBinary } from '../../../orchestrator/runtime/temporal-binary';
import {
  checkDevice,
  chooseFramework,
  type Framework,
} from '../../../orchestrator/runtime/trainer-command';
import { expectedPrecision } from '../../../orchestrator/runtime/expected-precision';
import { expectsGpu } from '../../../orchestrator/runtime/gpu';
import { externalTemporal } from '../../../orchestrator/runtime/temporal-client';
import { serverArguments } from '../../../orchestrator/runtime/temporal-server';
import {
  ensureTrainerEnvironment,
  pinnedEnvironment,
} from '../../../orchestrator/runtime/trainer-environment';

const onProgress = (): void => undefined;
/** What a call throws. */
function catchError(call: () => void): UserError {
  try {
    call();
  } catch (error) {
    if (error instanceof UserError) return error;
  }
  throw new Error('was not refused');
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-choices-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

/** An interpreter as the probe sees it. */
function python(name: string, version: number[], hasVenv: boolean): string {
  const path = join(folder, name);
  return program(name, `echo '${JSON.stringify({ path, version, hasVenv, hasPip: true })}'`);
}

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
    const named = program('mine', 'echo "temporal version 1.5.0 (Server 1.29.0)"');
    program('temporal', 'echo "temporal version 1.9.1"');
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
    await expect(refused(program('other', 'echo hello'))).rejects.toThrow(
      /is not a Temporal CLI: hello/,
    );
  });
});

describe('the interpreter', () => {
  const find = (needsVenv: boolean): ReturnType<typeof findBasePython> =>
    findBasePython(needsVenv, { PATH: folder });

  it('is one that the pinned PyTorch has wheels for', async () => {
    python('python3', [3, 9, 2], true);
    python('python3.13', [3, 13, 0], true);
    program('python3.12', 'echo "shim: no such version" >&2; exit 127');
    expect(await find(true)).toMatchObject({ version: [3, 13, 0] });
  });

  it('that is too old or missing is said with what is needed', async () => {
    await expect(find(true)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('no Python is on PATH') as string,
    });
    python('python3', [3, 8, 10], true);
    await expect(find(true)).rejects.toThrow(
      /needs Python 3\.11 or newer, before 3\.15; .*python3 is 3\.8\.10/,
    );
  });

  it('without venv is refused with the package to install, and accepted with uv', async () => {
    python('python3', [3, 12, 3], false);
    await expect(find(true)).rejects.toMatchObject({
      hint: expect.stringContaining('apt install python3.12-venv') as string,
    });
    expect(await find(false)).toMatchObject({ version: [3, 12, 3] });
  });

  const real = findOnPath('python3');
  (real ? it : it.skip)(
    'that the user names and that lacks packages is refused with each of them',
    async () => {
      expect(await probeInterpreter(real ?? '')).toMatchObject({
        version: [3, expect.any(Number), expect.any(Number)],
      });
      execFileSync(real ?? '', ['-m', 'venv', '--without-pip', join(folder, 'bare')]);
      const bare = ensureTrainerEnvironment({
        python: join(folder, 'bare', 'bin', 'python'),
        onProgress,
      });
      await expect(bare).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/torch \(not installed; needs 2\.11.*grpcio/) as string,
      });
    },
  );

  it('that the user names and that is none is refused', async () => {
    await expect(ensureTrainerEnvironment({ python: '/none/python', onProgress })).rejects.toThrow(
      /\/none\/python is not a working Python/,
    );
  });
});

describe('the framework that nobody named', () => {
  const told: string[] = [];
  const choose = (env: NodeJS.ProcessEnv, own?: string) =>
    chooseFramework({ python: own, onProgress: (...line) => told.push(line.join(' ')) }, env);
  /** Nothing on PATH but what a test puts there, and an empty cache. */
  const bare = () => ({ PATH: folder, XDG_CACHE_HOME: folder });
  beforeEach(() => told.splice(0));

  it('is torch where there is a Python for it, or one is named', async () => {
    expect(await choose(bare(), '/my/python')).toBe('torch');
    expect(await choose({ ...bare(), SA_ORCH_PYTHON: '/my/python' })).toBe('torch');
    python('python3', [3, 12, 3], true);
    expect(await choose(bare())).toBe('torch');
    expect(told).toEqual([]);
  });

  it('is torch where its environment was made before', async () => {
    const { folder: made } = pinnedEnvironment(bare());
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, '.complete.json'), '{}');
    expect(await choose(bare())).toBe('torch');
  });

  it('is tfjs where there is none, with a word why and that it does less', async () => {
    expect(await choose(bare())).toBe('tfjs');
    expect(told.join('\n')).toMatch(
      /tfjs, because PyTorch is unavailable: .*no Python is on PATH\n.*does less than torch/,
    );
  });
});

describe('services that run', () => {
  const running: RuntimeConfig = {
    ...{ format: 2, root: '/root', build: '', taskQueue: 'q' },
    temporal: {
      kind: 'embedded',
      binary: 't',
      version: '1',
      address: '127.0.0.1:7233',
      uiPort: 8233,
      namespace: 'default',
    },
    trainer: {
      ...{
        kind: 'local',
        framework: 'torch',
        address: 'unix:/s',
        command: { file: 'p', args: [], env: {} },
      },
      ...{ ownPython: null, device: 'cpu', threads: null },
    },
  };
  const wish = { stateDir: '/state', root: '/root', onProgress };
  const seeing = (visibleGpus?: string): RuntimeConfig => ({
    ...running,
    trainer: { ...running.trainer, visibleGpus } as LocalTrainer,
  });

  it('serve whoever asks for the same or for nothing in particular', () => {
    expect(() => refuseOtherWishes(running, wish, {})).not.toThrow();
    expect(() => refuseOtherWishes(running, { ...wish, device: 'cpu' }, {})).not.toThrow();
    expect(() => refuseOtherWishes(seeing('1'), wish, { CUDA_VISIBLE_DEVICES: '1' })).not.toThrow();
    expect(() => refuseOtherWishes(seeing('1'), wish, {})).not.toThrow();
    const external = { ...running, trainer: { kind: 'external' as const, address: 'box:1' } };
    expect(() => refuseOtherWishes(external, wish, { CUDA_VISIBLE_DEVICES: '1' })).not.toThrow();
  });

  it.each([
    [undefined, '1', 'CUDA_VISIBLE_DEVICES is not set, but 1 was requested'],
    ['0,1', '', 'CUDA_VISIBLE_DEVICES is 0,1, but empty was requested'],
  ])('refuse to show their trainer other GPUs: %j, then %j', (before, now, difference) => {
    const refused = catchError(() =>
      refuseOtherWishes(seeing(before), wish, { CUDA_VISIBLE_DEVICES: now }),
    );
    expect(refused).toMatchObject({
      exitCode: 2,
      hint: expect.stringContaining('sa-orch down') as string,
    });
    expect(refused.message).toContain(difference);
  });

  it('show their trainer the GPUs of its first start, whichever shell restarts it', () => {
    const buildEnvironment = (config: RuntimeConfig) =>
      servicesFor('/state', config).find(({ name }) => name === 'trainer')!.command.env;
    expect(buildEnvironment(seeing('1'))).toEqual({ CUDA_VISIBLE_DEVICES: '1' });
    expect(buildEnvironment(running)).toEqual({});
  });

  it('refuse other settings, all of them in one message', () => {
    const asked = {
      ...wish,
      root: '/other',
      framework: 'tfjs' as const,
      device: 'cuda:1' as const,
      threads: 4,
      trainerAddress: 'box:50051',
    };
    expect(() => refuseOtherWishes(running, asked, {})).toThrow(
      '--root is /root, but /other was requested; ' +
        '--trainer is unix:/s, but box:50051 was requested; ' +
        '--framework is torch, but tfjs was requested; ' +
        '--device is cpu, but cuda:1 was requested; ' +
        '--threads is not set, but 4 was requested',
    );
  });
});

describe('the device', () => {
  it('is accepted by name and by index, and nonsense refused before anything starts', () => {
    for (const device of ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:11'])
      expect(parseDevice(device)).toBe(device);
    for (const nonsense of ['gpu', 'cuda:', 'cuda:x', 'cuda:-1', 'cuda:01', 'CUDA', ''])
      expect(() => parseDevice(nonsense)).toThrow(
        'must be auto, cpu, cuda or cuda:<index>, for example cuda:1',
      );
  });

  it('of tfjs has no index: which GPU it is, is told otherwise', () => {
    for (const device of [null, 'auto', 'cpu', 'cuda'] as const)
      expect(() => checkDevice('tfjs', device)).not.toThrow();
    expect(() => checkDevice('torch', 'cuda:1')).not.toThrow();
    expect(catchError(() => checkDevice('tfjs', 'cuda:1'))).toMatchObject({
      exitCode: 2,
      message: '--device cuda:1: the tfjs trainer uses the first visible GPU',
      hint: 'Use --device cuda with CUDA_VISIBLE_DEVICES=1.',
    });
  });

  it('is expected to be a GPU where it is asked for, and none where it is hidden', () => {
    expect([expectsGpu('cuda:1'), expectsGpu('cuda'), expectsGpu('cpu')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(expectsGpu('auto', { CUDA_VISIBLE_DEVICES: '' })).toBe(false);
    expect(expectsGpu('auto', { CUDA_VISIBLE_DEVICES: '-1' })).toBe(false);
  });
});

describe('the precision that a start would take', () => {
  const NO_GPU = { CUDA_VISIBLE_DEVICES: '' };
  const remembered = (framework: Framework, device: DeviceName | null): void => {
    const trainer = { kind: 'local', framework, address: `unix:${folder}/none.sock`, device };
    writeFileSync(join(folder, 'runtime.json'), JSON.stringify({ format: 2, trainer }));
  };

  it('is float32 where no GPU can be used', async () => {
    expect(await expectedPrecision(folder, NO_GPU)).toEqual({
      precision: 'float32',
      unlisted: null,
    });
  });

  it.each([
    ['torch', 'cuda:1', { precision: 'bf16', unlisted: null }],
    ['torch', 'cpu', { precision: 'float32', unlisted: null }],
    ['torch', null, { precision: 'float32', unlisted: null }],
    ['tfjs', 'cuda', { precision: 'float32', unlisted: 'bf16' }],
  ] as const)(
    'is that of the trainer that ran here last: %s on %s',
    async (framework, device, expected) => {
      remembered(framework, device);
      expect(await expectedPrecision(folder, NO_GPU)).toEqual(expected);
    },
  );
});

describe('doctor', () => {
  it('names what is broken and what to do, and changes nothing', async () => {
    const state = join(folder, 'state');
    const findings = await examine({
      stateDir: state,
      root: join(folder, 'root'),
      dataDir: '/none',
      python: '/none/python',
    });
    expect(existsSync(state)).toBe(false);
    const broken = findings.filter((finding) => finding.state === 'broken');
    expect(broken.map(({ name }) => name)).toEqual(['trainer torch', 'data']);
    expect(broken.every(({ advice }) => advice !== null)).toBe(true);
  });

  it('names what each trainer lacks and the remedy; only both lacking ends a start', async () => {
    const look = async () => {
      const findings = await examine({
        stateDir: folder,
        root: folder,
        dataDir: undefined,
        python: undefined,
      });
      return Object.fromEntries(findings.map(({ name, ...finding }) => [name, finding]));
    };
    const outside = process.env;
    process.env = { PATH: folder, XDG_CACHE_HOME: join(folder, 'cache') };
    try {
      expect(await look()).toMatchObject({
        temporal: {
          state: 'broken',
          advice: expect.stringContaining('apt install python3-pip') as string,
        },
        'trainer torch': {
          state: 'broken',
          advice: expect.stringContaining('Install a Python in that range') as string,
        },
        'trainer tfjs': {
          state: 'broken',
          advice: expect.stringMatching(/apt install npm\).*g\+\+.*make.*python3\)/s) as string,
        },
        backbone: { state: 'note', advice: expect.stringContaining('--backbone') as string },
      });
      for (const tool of ['npm', 'g++', 'make']) program(tool, '');
      python('python3', [3, 8, 10], false);
      expect(await look()).toMatchObject({
        'trainer torch': {
          state: 'note',
          text: expect.stringMatching(/python3 is 3\.8\.10; `start` uses tfjs$/) as string,
        },
        'trainer tfjs': {
          text: expect.stringContaining(
            'will be built on the first start with --framework tfjs',
          ) as string,
        },
      });
      python('python3', [3, 12, 3], true);
      rmSync(join(folder, 'g++'));
      expect(await look()).toMatchObject({
        'trainer torch': {
          state: 'fine',
          text: expect.stringContaining('will be created on first start') as string,
        },
        'trainer tfjs': {
          state: 'note',
          advice: 'a C++ compiler is not on PATH (Debian, Ubuntu: apt install g++)',
        },
      });
    } finally {
      process.env = outside;
    }
  });
});

describe('a program', () => {
  it('is run to its end, with what it printed, in the log as well', async () => {
    const log = join(folder, 'log');
    writeFileSync(log, '');
    const done = await runCommand(program('p', 'echo out; echo err >&2; exit 4'), [], { log });
    expect(done).toEqual({ status: 4, stdout: 'out\n', stderr: 'err\n' });
    expect(readFileSync(log, 'utf8').split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('that takes longer than it may is ended', async () => {
    const started = Date.now();
    expect(
      await runCommand(program('slow', 'exec sleep 60'), [], { timeoutMs: 200 }),
    ).toMatchObject({ status: null });
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('that cannot be started says why', async () => {
    expect(await runCommand('/none', [])).toMatchObject({
      status: null,
      stderr: expect.stringContaining('ENOENT') as string,
    });
  });
});
