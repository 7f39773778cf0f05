/** Where a trainer computes, as its command line and those that start it name it. */

/** `auto` takes a GPU where there is one; a GPU without an index is the first. */
export type DeviceName = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

export const DEVICE_FORMS = 'auto, cpu, cuda or cuda:<index>, for example cuda:1';

export function isDeviceName(text: string): text is DeviceName {
  return /^(auto|cpu|cuda(:(0|[1-9]\d*))?)$/.test(text);
}
