/** Which trainers a machine gets: one for each visible GPU, or as many as were asked for. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assignDevices, type TrainerWishes } from '../../../orchestrator/runtime/assign-devices';
import { listVisibleGpus } from '../../../orchestrator/runtime/gpu';
import { catchError } from '../support/catch-error';

describe('the visible GPUs', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-gpus-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const FOUR = [0, 1, 2, 3].map((i) => `GPU ${i}: NVIDIA H100 80GB HBM3 (UUID: GPU-0${i})`);
  /** As a machine with a driver whose tool prints these lines. */
  const see = (lines: readonly string[], visible?: string): string[] => {
    const tool = join(folder, 'nvidia-smi');
    writeFileSync(tool, `#!/bin/sh\n[ "$1" = -L ] && cat <<'END'\n${lines.join('\n')}\nEND\n`);
    chmodSync(tool, 0o755);
    const hidden = visible === undefined ? {} : { CUDA_VISIBLE_DEVICES: visible };
    return listVisibleGpus({ PATH: `${folder}:/bin:/usr/bin`, ...hidden });
  };

  it.each([
    [undefined, ['0', '1', '2', '3']],
    ['0,3', ['0', '3']],
    [' 2 , 1 ', ['2', '1']],
    ['', []],
    ['-1', []],
    ['NoDevFiles', []],
    // As CUDA reads it: the list ends with what is no device.
    ['1,-1,2', ['1']],
    ['1,7,2', ['1']],
    ['GPU-02,GPU-03', ['GPU-02', 'GPU-03']],
    ['MIG-5c89,MIG-77ab', ['MIG-5c89', 'MIG-77ab']],
    ['1,1', ['1']],
  ])('are those of CUDA_VISIBLE_DEVICES: %j', (visible, gpus) => {
    expect(see(FOUR, visible)).toEqual(gpus);
  });

  it('are the instances of a GPU that is split', () => {
    const split = [
      'GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)',
      '  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef)',
      '  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8)',
      'GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-9ad3)',
    ];
    expect(see(split)).toEqual(['MIG-c6d4f1ef', 'MIG-cba663e8', '1']);
  });
});

describe('trainers', () => {
  const NONE: TrainerWishes = { trainers: null, devices: null, device: null, threads: null };
  const GPUS = ['4', '5', 'GPU-a'];
  const assign = (wishes: Partial<TrainerWishes>, gpus: readonly string[], cores = 8) =>
    assignDevices({ ...NONE, ...wishes }, 'torch', gpus, cores);

  it('are one on a CPU, and as many as asked for, which share the cores', () => {
    expect(assign({}, [])).toEqual([{ device: null, threads: null }]);
    const two = { device: null, threads: 4 };
    expect(assign({ trainers: 2 }, [])).toEqual([two, two]);
    const own = { device: 'cpu', threads: 1 };
    expect(assign({ trainers: 2, device: 'cpu', threads: 1 }, GPUS)).toEqual([own, own]);
    expect(assign({ trainers: 3 }, [], 2)[2]).toEqual({ device: null, threads: 1 });
  });

  it('are one for each visible GPU, which sees no other', () => {
    expect(assign({ visibleGpus: '4,5,GPU-a' }, GPUS, 9)).toEqual(
      GPUS.map((visibleGpus) => ({ device: null, visibleGpus, threads: 3 })),
    );
    expect(assign({ trainers: 2 }, GPUS)).toMatchObject([
      { visibleGpus: '4' },
      { visibleGpus: '5' },
    ]);
  });

  it('are one with all GPUs where one was asked for, by number or by device', () => {
    const seeing = { visibleGpus: '4,5,GPU-a' };
    expect(assign({ trainers: 1, ...seeing }, GPUS)).toEqual([
      { device: null, threads: null, ...seeing },
    ]);
    expect(assign({ device: 'cuda:1', ...seeing }, GPUS)).toEqual([
      { device: 'cuda:1', threads: null, ...seeing },
    ]);
    expect(assign({}, ['0'])).toEqual([{ device: null, threads: null }]);
    expect(assignDevices(NONE, 'tfjs', GPUS, 8)).toEqual([{ device: null, threads: null }]);
  });

  it('are one on each named device', () => {
    expect(assign({ devices: ['cuda:2', 'cuda', 'cpu'] }, GPUS, 6)).toEqual([
      { device: 'cuda', visibleGpus: 'GPU-a', threads: 2 },
      { device: 'cuda', visibleGpus: '4', threads: 2 },
      { device: 'cpu', threads: 2 },
    ]);
    // Of other makers' GPUs nothing is known here.
    expect(assign({ devices: ['cuda:0', 'cuda:1'] }, [])).toMatchObject([
      { device: 'cuda:0' },
      { device: 'cuda:1' },
    ]);
  });

  it.each([
    [
      { trainers: 4 },
      '--trainers 4: a trainer takes the whole of a GPU, and only 3 GPUs can be seen',
    ],
    [
      { devices: ['cuda:3' as const] },
      '--devices cuda:3: a trainer takes the whole of a GPU, and only 3 GPUs',
    ],
    [{ trainers: 2, device: 'cuda:1' as const }, '--device cuda:1 is one device'],
  ])('are refused where they do not fit: %j', (wishes, message) => {
    const refused = catchError(() => assign(wishes, GPUS));
    expect(refused.exitCode).toBe(2);
    expect(refused.message).toContain(message);
  });
});
