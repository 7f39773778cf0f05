/**
 * Requests to stop jobs of this process that their trainers do not have yet, because their files
 * are still being sent.
 */
export type StopMode = 'checkpoint' | 'abort';

export class StopRequest extends Error {
  override readonly name = 'StopRequest';

  constructor(readonly mode: StopMode) {
    super(`stopped before it was submitted (${mode})`);
  }
}

const sending = new Map<string, AbortController>();

/** Stops a job whose files are being sent; does nothing for any other. */
export function stopSending(jobId: string, mode: StopMode): void {
  sending.get(jobId)?.abort(new StopRequest(mode));
}

/** Runs `send`; its signal is aborted with a StopRequest, or as `outer` is. */
export async function sendStoppably(
  jobId: string,
  outer: AbortSignal,
  send: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  sending.set(jobId, controller);
  try {
    await send(AbortSignal.any([outer, controller.signal]));
  } finally {
    if (sending.get(jobId) === controller) sending.delete(jobId);
  }
}
