/**
 * Whether a trainer answers. Asking for its capabilities says more than a health check: that the
 * trainer itself works, not only its socket.
 */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { plural } from '../base/plural';
import { connectTrainer, type TlsFiles } from '../trainer-client/client';

/** The trainer's capabilities; undefined if it does not answer in time. */
export async function askCapabilities(
  address: string,
  timeoutMs: number,
  tls?: TlsFiles,
): Promise<Capabilities | undefined> {
  const trainer = connectTrainer(address, { tls });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  try {
    return await Promise.race([trainer.getCapabilities().catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
    trainer.close();
  }
}

/** For people to read: `cpu, 2 threads, 1 slot`. */
export function describeDevices({ devices, slots }: Capabilities): string {
  const device = devices.map(({ kind, name, threads }) =>
    threads > 0 ? `${kind}, ${plural(threads, 'thread')}` : `${kind} (${name})`,
  );
  return `${device.join('; ')}, ${plural(slots, 'slot')}`;
}
