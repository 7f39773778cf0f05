/** Which trainers are started here, and on what device each. */
import type { DeviceName } from '../../common/device';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import type { Framework } from './trainer-command';

/** What the user asked for; null where the choice is ours. */
export interface TrainerWishes {
  /** How many. */
  trainers: number | null;
  /** One trainer on each. */
  devices: DeviceName[] | null;
  /** Of all trainers. */
  device: DeviceName | null;
  /** Of each trainer. */
  threads: number | null;
  /** CUDA_VISIBLE_DEVICES; absent if it was not set, so all GPUs are visible. */
  visibleGpus?: string;
}

/** What one trainer gets. */
export interface Assignment {
  /** null if the trainer chooses. */
  device: DeviceName | null;
  /** Its CUDA_VISIBLE_DEVICES; absent if not set. */
  visibleGpus?: string;
  /** null if the trainer chooses. */
  threads: number | null;
}

/**
 * One assignment for each trainer. Without wishes, each visible GPU gets a trainer, and so does a
 * machine without one. Several trainers share the cores.
 *
 * @param gpus the visible GPUs, as listVisibleGpus gives them
 * @throws UserError (exit 2) if there are fewer GPUs than trainers that would need one
 */
export function assignDevices(
  wishes: TrainerWishes,
  framework: Framework,
  gpus: readonly string[],
  cores: number,
): Assignment[] {
  const chosen = chooseDevices(wishes, framework, gpus);
  const share = chosen.length > 1 ? Math.max(1, Math.floor(cores / chosen.length)) : null;
  const threads = wishes.threads ?? share;
  return chosen.map((each) => ({ ...each, threads }));
}

type Choice = Omit<Assignment, 'threads'>;

function chooseDevices(
  { trainers, devices, device, visibleGpus }: TrainerWishes,
  framework: Framework,
  gpus: readonly string[],
): Choice[] {
  const seeing = visibleGpus === undefined ? {} : { visibleGpus };
  if (devices !== null)
    return devices.map((each) => {
      if (each === 'cpu' || gpus.length === 0) return { device: each, ...seeing };
      const gpu = gpus[indexOf(each)];
      if (gpu === undefined) throw tooFew(`--devices ${each}`, gpus);
      return { device: 'cuda', visibleGpus: gpu };
    });
  const takesGpus = gpus.length > 0 && (device === null || device === 'auto' || device === 'cuda');
  if (trainers !== null && trainers > 1) {
    if (device?.startsWith('cuda:'))
      throw new UserError(
        `--device ${device} is one device, but --trainers asks for ${trainers}`,
        2,
        'Use --devices cuda:0,cuda:1,… for one trainer on each, or leave --device out.',
      );
    if (!takesGpus) return Array.from({ length: trainers }, () => ({ device, ...seeing }));
    if (trainers > gpus.length) throw tooFew(`--trainers ${trainers}`, gpus);
    return gpus.slice(0, trainers).map((gpu) => ({ device, visibleGpus: gpu }));
  }
  // TensorFlow.js computes on GPUs only where its library was built for them.
  const onEach = trainers === null && device !== 'cuda' && framework === 'torch';
  if (takesGpus && onEach && gpus.length > 1)
    return gpus.map((gpu) => ({ device, visibleGpus: gpu }));
  return [{ device, ...seeing }];
}

/** `cuda` is the first GPU. */
const indexOf = (device: DeviceName): number => Number(device.split(':')[1] ?? 0);

const tooFew = (asked: string, gpus: readonly string[]): UserError =>
  new UserError(
    `${asked}: a trainer takes the whole of a GPU, and only ${plural(gpus.length, 'GPU')} can be ` +
      'seen (CUDA_VISIBLE_DEVICES)',
    2,
    'Ask for fewer, or use --device cpu.',
  );
