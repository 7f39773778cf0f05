/** Services that run already, asked for with other settings. */
import { listAdded, refuseOtherWishes } from '../../../orchestrator/runtime/other-wishes';
import type { LocalTrainers, RuntimeConfig } from '../../../orchestrator/runtime/runtime-config';
import { servicesFor } from '../../../orchestrator/runtime/services';
import { catchError } from '../support/catch-error';

const onProgress = (): void => undefined;

describe('services that run', () => {
  const local: LocalTrainers = {
    ...{ framework: 'torch', command: { file: 'p', args: [], env: {} }, ownPython: null },
    wishes: { trainers: null, devices: null, device: 'cpu', threads: null },
    list: [{ name: 'trainer', address: 'unix:/s', device: 'cpu', threads: null }],
  };
  const running: RuntimeConfig = {
    ...{ format: 3, root: '/root', build: '', taskQueue: 'q' },
    temporal: {
      kind: 'embedded',
      binary: 't',
      version: '1',
      address: '127.0.0.1:7233',
      uiPort: 8233,
      namespace: 'default',
    },
    ...{ local, external: [] },
  };
  const wish = { stateDir: '/state', root: '/root', onProgress };
  const seeing = (visibleGpus?: string): RuntimeConfig => ({
    ...running,
    local: {
      ...local,
      wishes: { ...local.wishes, visibleGpus },
      list: [{ ...local.list[0]!, visibleGpus }],
    },
  });

  it('serve whoever asks for the same or for nothing in particular', () => {
    expect(() => refuseOtherWishes(running, wish, {})).not.toThrow();
    expect(() => refuseOtherWishes(running, { ...wish, device: 'cpu' }, {})).not.toThrow();
    expect(() => refuseOtherWishes(seeing('1'), wish, { CUDA_VISIBLE_DEVICES: '1' })).not.toThrow();
    expect(() => refuseOtherWishes(seeing('1'), wish, {})).not.toThrow();
    const external = { ...running, local: null, external: [{ address: 'box:1' }] };
    expect(() => refuseOtherWishes(external, wish, { CUDA_VISIBLE_DEVICES: '1' })).not.toThrow();
  });

  it('were started with the defaults where nothing was said', () => {
    const defaults = { ...wish, stopAfter: 120, unloadAfter: 15 };
    expect(() => refuseOtherWishes(running, defaults, {})).not.toThrow();
    expect(() => refuseOtherWishes(running, { ...wish, stopAfter: 0, unloadAfter: 1 }, {})).toThrow(
      '--unload-after is 15, but 1 was requested; --stop-after is 120, but 0 was requested',
    );
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

  it('refuse another Python, named by an option or by the environment', () => {
    const own: RuntimeConfig = {
      ...running,
      local: { ...local, ownPython: '/opt/a' },
    };
    expect(() => refuseOtherWishes(own, wish, {})).not.toThrow();
    expect(() => refuseOtherWishes(own, wish, { SA_ORCH_PYTHON: '/opt/a' })).not.toThrow();
    expect(() => refuseOtherWishes(own, { ...wish, python: '/opt/b' }, {})).toThrow(
      '--python is /opt/a, but /opt/b was requested',
    );
    expect(() => refuseOtherWishes(own, wish, { SA_ORCH_PYTHON: '/opt/b' })).toThrow(
      'SA_ORCH_PYTHON is /opt/a, but /opt/b was requested',
    );
  });

  it('show their trainer the GPUs of its first start, whichever shell restarts it', () => {
    const buildEnvironment = (config: RuntimeConfig) =>
      servicesFor('/state', config).find(({ name }) => name === 'trainer')!.command.env;
    expect(buildEnvironment(seeing('1'))).toStrictEqual({ CUDA_VISIBLE_DEVICES: '1' });
    // Not set is kept, too: undefined removes what that shell has.
    expect(buildEnvironment(running)).toStrictEqual({ CUDA_VISIBLE_DEVICES: undefined });
  });

  describe('with a trainer elsewhere', () => {
    const tls = { ca: '/pki/ca.pem', cert: '/pki/me.pem', key: '/pki/me.key' };
    const secured = (files?: typeof tls): RuntimeConfig => ({
      ...running,
      ...{ local: null, external: [{ address: 'box:1', tls: files }] },
    });

    it('reach it with the certificates of their first start, whichever shell restarts them', () => {
      const buildEnvironment = (config: RuntimeConfig) =>
        servicesFor('/state', config).find(({ name }) => name === 'worker')!.command.env;
      expect(buildEnvironment(secured(tls))).toMatchObject({
        SA_ORCH_TRAINER_CA: '/pki/ca.pem',
        SA_ORCH_TRAINER_CERT: '/pki/me.pem',
        SA_ORCH_TRAINER_KEY: '/pki/me.key',
      });
      expect(buildEnvironment(secured())).toHaveProperty('SA_ORCH_TRAINER_CA', undefined);
    });

    it('refuse other certificates', () => {
      expect(() => refuseOtherWishes(secured(tls), wish, {})).not.toThrow();
      const env = { SA_ORCH_TRAINER_CA: '/pki/ca.pem' };
      expect(() => refuseOtherWishes(secured(tls), wish, env)).not.toThrow();
      expect(() => refuseOtherWishes(secured(), wish, env)).toThrow(
        'SA_ORCH_TRAINER_CA is not set, but /pki/ca.pem was requested',
      );
    });
  });

  it('take another trainer on', () => {
    const asked = { ...wish, trainerSources: ['box:1', 'box:2'] };
    const external = { ...running, external: [{ address: 'box:1' }] };
    expect(() => refuseOtherWishes(external, asked, {})).not.toThrow();
    expect(listAdded(external, asked)).toEqual([{ address: 'box:2' }]);
    expect(listAdded(external, wish)).toEqual([]);
  });

  it('refuse other settings, all of them in one message', () => {
    const asked = {
      ...wish,
      root: '/other',
      framework: 'tfjs' as const,
      device: 'cuda:1' as const,
      threads: 4,
      trainers: 2,
    };
    expect(() => refuseOtherWishes(running, asked, {})).toThrow(
      '--root is /root, but /other was requested; ' +
        '--framework is torch, but tfjs was requested; ' +
        '--trainers is 1, but 2 was requested; ' +
        '--device is cpu, but cuda:1 was requested; ' +
        '--threads is not set, but 4 was requested',
    );
  });
});
