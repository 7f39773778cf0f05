/** Where Prometheus finds metrics of a trainer or a worker. */
import { isIP } from 'node:net';

/** `9464` of 127.0.0.1, `0.0.0.0:9464` or `[::]:9464`; undefined for anything else. */
export function parseMetricsPort(where: string): { host: string; port: number } | undefined {
  const match = /^(?:(\[[^\]]+\]|[^:]+):)?(\d{1,5})$/.exec(where);
  if (match === null || Number(match[2]) > 65_535) return undefined;
  const host = match[1]?.replace(/^\[|\]$/g, '') ?? '127.0.0.1';
  return { host, port: Number(match[2]) };
}

/** What is right for a worker, for the end of a sentence. */
export const WORKER_METRICS_FORMS =
  'a port from 1 to 65535, or <IP address>:<port>, for example 0.0.0.0:9464';

/** The same as Temporal's worker takes it, which looks up no names; undefined for anything else. */
export function workerMetricsAddress(where: string): string | undefined {
  const { host, port } = parseMetricsPort(where) ?? { host: '', port: 0 };
  const address = host === 'localhost' ? '127.0.0.1' : host;
  if (isIP(address) === 0 || port === 0) return undefined;
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
