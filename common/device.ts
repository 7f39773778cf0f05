/** The names of devices, for the command line of a trainer and for what starts it. */

/** `auto` takes a GPU if there is one; `cuda` is the first GPU. */
export type DeviceName = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

export const DEVICE_FORMS = 'auto, cpu, cuda or cuda:<index>, for example cuda:1';

export function isDeviceName(text: string): text is DeviceName {
  return /^(auto|cpu|cuda(:(0|[1-9]\d*))?)$/.test(text);
}
