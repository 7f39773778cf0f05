/** TLS of trainers and their clients: which options or variables go together, and their files. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { explainRefusal } from './system-errors';

/** What the user has set for TLS cannot be used; the message names the option or the variable. */
export class UnusableTls extends Error {
  readonly exitCode = 2;
}

const LAST_PORT = 65_535;

type Part = 'ca' | 'cert' | 'key';

/** How the user sets each: an option, or a variable of the environment. */
export type TlsNames = Readonly<Record<Part, string>>;

/** A trainer's options. */
export const TRAINER_TLS: TlsNames = {
  ca: '--tls-client-ca',
  cert: '--tls-cert',
  key: '--tls-key',
};

/**
 * The contents of PEM files, each checked to be what it is given as; undefined where none is set.
 *
 * @throws UnusableTls
 */
export function readTlsFiles(
  files: Readonly<Partial<Record<Part, string>>>,
  names: TlsNames,
): Partial<Record<Part, Buffer>> {
  refuseHalfPair(files, names);
  const read = (part: Part): Buffer | undefined =>
    files[part] ? readPem(names[part], files[part]) : undefined;
  const found = { ca: read('ca'), cert: read('cert'), key: read('key') };
  if (found.ca) parseCertificate(found.ca, `${names.ca}: ${files.ca}`);
  if (found.cert && found.key) {
    const certificate = parseCertificate(found.cert, `${names.cert}: ${files.cert}`);
    if (!certificate.checkPrivateKey(parseKey(found.key, `${names.key}: ${files.key}`)))
      throw new UnusableTls(
        `${names.key}: ${files.key} is not the key of the certificate in ${files.cert}`,
      );
  }
  return found;
}

/** @throws UnusableTls if a certificate is set without its key, or a key without its certificate */
export function refuseHalfPair(
  { cert, key }: Readonly<Partial<Record<Part, string>>>,
  names: TlsNames,
): void {
  if (!cert === !key) return;
  const missing = cert ? names.key : names.cert;
  throw new UnusableTls(`${names.cert} and ${names.key} go together, and ${missing} is not set`);
}

/** What a trainer is told of where to listen, and for whom. */
export interface ListenerOptions {
  listen: string;
  insecure?: boolean;
  tlsCert?: string;
  tlsKey?: string;
  tlsClientCa?: string;
}

/**
 * Refuses an address that is none, and options that do not go together.
 *
 * @throws UnusableTls
 */
export function checkListenerOptions(options: ListenerOptions): void {
  const { listen, insecure = false, tlsCert: cert, tlsKey: key, tlsClientCa } = options;
  if (!listen.startsWith('unix:') && !/^.+:\d+$/.test(listen))
    throw new UnusableTls(`--listen: ${listen} is neither unix:/path.sock nor host:port`);
  if (!listen.startsWith('unix:') && Number(/\d+$/.exec(listen)) > LAST_PORT)
    throw new UnusableTls(`--listen ${listen}: the port must be at most ${LAST_PORT}`);
  refuseHalfPair({ cert, key }, TRAINER_TLS);
  if (tlsClientCa !== undefined && cert === undefined)
    throw new UnusableTls('--tls-client-ca needs --tls-cert and --tls-key');
  if (!listen.startsWith('unix:') && cert === undefined && !insecure)
    throw new UnusableTls(
      `--listen ${listen}: TCP needs --tls-cert and --tls-key, or an explicit --insecure`,
    );
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = explainRefusal(error as NodeJS.ErrnoException);
    throw new UnusableTls(`${name}: cannot read ${path}: ${why}`);
  }
}

function parseCertificate(content: Buffer, where: string): X509Certificate {
  try {
    // The class reads DER, too, which TLS connections do not.
    if (content.includes('-----BEGIN ')) return new X509Certificate(content);
  } catch {
    // Is none, either.
  }
  throw new UnusableTls(`${where} is not a certificate in PEM format`);
}

function parseKey(content: Buffer, where: string): KeyObject {
  try {
    return createPrivateKey(content);
  } catch {
    throw new UnusableTls(`${where} is not a private key in PEM format, without a password`);
  }
}
