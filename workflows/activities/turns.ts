/** Lets one at a time do what others of this process would do as well. */
const last = new Map<string, Promise<void>>();

/**
 * Calls `work` once all earlier calls with the same key have ended.
 *
 * @throws the signal's reason if it is aborted before
 */
export async function takeTurns<T>(
  key: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const mine = before.then(() => {
    signal?.throwIfAborted();
    return work();
  });
  const ended: Promise<void> = mine
    .catch(() => undefined)
    .then(() => {
      if (last.get(key) === ended) last.delete(key);
    });
  last.set(key, ended);
  return signal === undefined ? mine : Promise.race([mine, aborted(signal)]);
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
