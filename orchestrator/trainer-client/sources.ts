/**
 * What may stand for trainers, on a command line and in a root's lists: an address, a file of
 * addresses (`@<file>`), a name that stands for several (`dns:<name>:<port>`), or `listed`.
 */
import { readFileSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isNotThere, NO_FILE } from '../../common/files';
import { explainSystemError } from '../../common/system-errors';
import { checkAddress, tlsFromEnvironment, type TlsFiles } from './channel';

/** How to reach a trainer. */
export interface TrainerSource {
  /** For people: `trainer`, `trainer-2`, or the address. */
  name: string;
  /** `unix:<path>` or `host:port`; in a list also `@<absolute file>` or `dns:<name>:<port>`. */
  address: string;
  /** Absolute paths; if absent, those of the reader's environment. */
  tls?: TlsFiles;
}

/** Trainers, and what of them could not be read just now, a sentence for each. */
export interface FoundTrainers {
  trainers: TrainerSource[];
  problems: string[];
}

/** The trainers that list themselves in the artifact root, which are read anyway: no other ones. */
export const LISTED = 'listed';

export const SOURCE_FORMS =
  'unix:<path>, host:port, @<file>, dns:<name>:<port>, or `listed`: those in the root’s list';

/** A server of names that is silent must not keep those waiting who place work. */
const LOOKUP_MS = 3000;

/**
 * What a source stood for last. A disk or a server of names that fails for a moment must not take
 * trainers away that work.
 */
const lastKnown = new Map<string, string[]>();

/** Whether a source stands for addresses that may change. */
export const expands = (address: string): boolean =>
  address === LISTED || address.startsWith('@') || address.startsWith('dns:');

/**
 * Refuses what is no source, and a file of addresses that cannot be read or has a bad line.
 *
 * @throws Error with a sentence that names the source, or the file with the line
 */
export function checkSource(source: string): void {
  if (source === LISTED) return;
  if (source.startsWith('dns:')) splitName(source);
  else if (source.startsWith('@')) {
    const [problem] = parseLines(source.slice(1), readNamed(source.slice(1))).problems;
    if (problem !== undefined) throw new Error(problem);
  } else checkAddress(source);
}

/**
 * The trainers that a source stands for now. What says that there are none counts; where nothing
 * can be read just now, the last answer stays, with a problem.
 */
export async function expandSource(source: TrainerSource): Promise<FoundTrainers> {
  const { address, tls } = source;
  if (address === LISTED) return { trainers: [], problems: [] };
  try {
    if (address.startsWith('@')) {
      const path = address.slice(1);
      const { addresses, problems } = parseLines(path, await readFile(path, 'utf8'));
      return { trainers: remember(address, addresses, tls), problems };
    }
    if (address.startsWith('dns:')) {
      const { name, port } = splitName(address);
      const addresses = (await resolveName(name)).map((ip) => `${ip}:${port}`);
      return { trainers: remember(address, addresses, verifiedBy(name, tls)), problems: [] };
    }
    checkAddress(address);
    return { trainers: [source], problems: [] };
  } catch (error) {
    const isGone = isNotThere(error) || (error as NodeJS.ErrnoException).code === 'ENOTFOUND';
    if (isGone) lastKnown.delete(address);
    const files = address.startsWith('dns:') ? verifiedBy(splitName(address).name, tls) : tls;
    return {
      trainers: nameEach(lastKnown.get(address) ?? [], files),
      problems: [explainFailure(address, error as Error)],
    };
  }
}

/** One address of a source without waiting for anything; undefined if it has none by itself. */
export function firstAddress(source: string): string | undefined {
  if (source === LISTED) return undefined;
  if (source.startsWith('dns:')) return source.slice('dns:'.length);
  if (!source.startsWith('@')) return source;
  return parseLines(source.slice(1), readNamed(source.slice(1))).addresses[0];
}

function remember(source: string, addresses: string[], tls: TlsFiles | undefined): TrainerSource[] {
  lastKnown.set(source, addresses);
  return nameEach(addresses, tls);
}

const nameEach = (addresses: readonly string[], tls: TlsFiles | undefined): TrainerSource[] =>
  addresses.map((address) => ({ name: address, address, ...(tls === undefined ? {} : { tls }) }));

/** A certificate is made out to the name, and the connection goes to a number. */
function verifiedBy(name: string, tls = tlsFromEnvironment()): TlsFiles | undefined {
  return tls && { ...tls, serverName: tls.serverName ?? name };
}

function splitName(source: string): { name: string; port: string } {
  const rest = source.slice('dns:'.length);
  const [, name, port] = /^([^/\s:]+):(\d+)$/.exec(rest) ?? [];
  if (name === undefined || port === undefined)
    throw new Error(`trainer ${source} is not dns:<name>:<port>`);
  checkAddress(rest);
  return { name, port };
}

/** The name's addresses of both families, in a fixed order. */
async function resolveName(name: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${LOOKUP_MS / 1000} s`)), LOOKUP_MS);
  });
  try {
    const found = await Promise.race([lookup(name, { all: true }), late]);
    const written = found.map(({ address, family }) => (family === 6 ? `[${address}]` : address));
    return [...new Set(written)].sort();
  } finally {
    clearTimeout(timer);
  }
}

function readNamed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(explainFailure(`@${path}`, error as Error), { cause: error });
  }
}

/** The addresses of a file, and its bad lines. */
function parseLines(path: string, text: string): { addresses: string[]; problems: string[] } {
  const addresses: string[] = [];
  const problems: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const address = line.replace(/(^|\s)#.*/, '').trim();
    if (address === '') continue;
    try {
      checkAddress(address);
      addresses.push(address);
    } catch (error) {
      problems.push(`${path}:${index + 1}: ${(error as Error).message}`);
    }
  }
  return { addresses, problems };
}

function explainFailure(source: string, error: NodeJS.ErrnoException): string {
  if (source.startsWith('@')) {
    const path = source.slice(1);
    const why = isNotThere(error) ? NO_FILE : explainSystemError(error).message;
    // What fails while a file is read does not say in which.
    return why.includes(path) ? why : `${path}: ${why}`;
  }
  if (!source.startsWith('dns:') || error.message.startsWith('trainer ')) return error.message;
  return `trainer ${source}: the name does not resolve just now (${error.code ?? error.message})`;
}
