/**
 * Whether a trainer answers. Asking for its capabilities says more than a health check: that the
 * trainer itself works, not only its socket.
 */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { plural } from '../base/plural';
import { UserError } from '../base/errors';
import { connectTrainer, TrainerError, type TlsFiles } from '../trainer-client/client';
import { explainUnreachable, noAnswer } from './unreachable-trainer';

/**
 * The trainer's capabilities. Its TLS files default to those of this shell's environment.
 *
 * @throws UserError (exit 3) that says why if it gives none in time
 */
export async function askCapabilities(
  { address, tls }: { address: string; tls?: TlsFiles },
  timeoutMs: number,
): Promise<Capabilities> {
  const trainer = connectTrainer(address, { tls });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(noAnswer(address, `nothing came in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([trainer.getCapabilities(), late]);
  } catch (error) {
    if (!(error instanceof TrainerError)) throw error;
    const { code, message, unreachable } = error;
    if (unreachable) throw await explainUnreachable({ address, tls }, message);
    throw new UserError(
      `the trainer at ${address} answers with an error, ${code}: ${message}`,
      3,
      "The trainer's log says more.",
    );
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
