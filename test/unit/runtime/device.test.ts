/** Devices by their names, and which of them are GPUs. */
import { parseDevice } from '../../../orchestrator/cli/options';
import { expectsGpu } from '../../../orchestrator/runtime/gpu';
import { checkDevice } from '../../../orchestrator/runtime/trainer-command';
import { catchError } from '../support/catch-error';

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
      expect(() => checkDevice('tfjs', device, null, true)).not.toThrow();
    expect(() => checkDevice('torch', 'cuda:1', null, true)).not.toThrow();
    expect(catchError(() => checkDevice('tfjs', 'cuda:1', null, true))).toMatchObject({
      exitCode: 2,
      message: '--device cuda:1: the tfjs trainer uses the first visible GPU',
      hint: 'Use --device cuda with CUDA_VISIBLE_DEVICES=1.',
    });
  });

  it('is refused at once where there is no GPU, but for a PyTorch of the user’s own', () => {
    for (const framework of ['torch', 'tfjs'] as const) {
      expect(catchError(() => checkDevice(framework, 'cuda', null, false))).toMatchObject({
        exitCode: 2,
        message: '--device cuda: there is no NVIDIA GPU here, or no driver for it',
      });
      for (const device of [null, 'auto', 'cpu'] as const)
        expect(() => checkDevice(framework, device, null, false)).not.toThrow();
    }
    const asked = '--devices cpu,cuda:1';
    expect(catchError(() => checkDevice('torch', 'cuda', null, false, asked))).toMatchObject({
      message: '--devices cpu,cuda:1: there is no NVIDIA GPU here, or no driver for it',
      hint: expect.stringMatching(/^Remove it, or use --devices cpu\. Services/) as string,
    });
    expect(() => checkDevice('torch', 'cuda:1', '/opt/rocm/bin/python', false)).not.toThrow();
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
