/**
 * The one place that turns whatever was thrown into words, for the command line and for all
 * services. No stack trace reaches a user: that of a fault of ours goes into a file.
 */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { packageVersion } from './package';
import { explainSystemError, isSystemError, type Explained, type Place } from './system-errors';

export type { Explained, Place };

/** What an error may have. */
type Thrown = Partial<Error & { exitCode: number; hint: string; code: unknown; details: unknown }>;

/** What may stand behind an error as its cause. */
const MAX_CAUSES = 8;

/**
 * Errors whose message is for people have an `exitCode`, and perhaps a `hint`. Others are those of
 * the operating system, of services (gRPC, Temporal), or faults of this program, whose details are
 * written to a file.
 */
export function explainError(error: unknown, places: readonly Place[] = []): Explained {
  const causes = listCauses(error);
  for (const cause of causes) {
    const explained = explainForeseen(cause, places);
    if (explained !== undefined) return explained;
  }
  return explainFault(error);
}

/** For a log, whose readers look at single lines. */
export function explainOnOneLine(error: unknown): string {
  const { message, hint } = explainError(error);
  return hint === undefined ? message : `${message}. ${hint.replaceAll('\n', ' ')}`;
}

/** An error and what caused it, the outermost first. */
function listCauses(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (
    let cause = error;
    cause !== undefined && !causes.includes(cause) && causes.length < MAX_CAUSES;
    cause = (cause as Error | null)?.cause
  )
    causes.push(cause);
  return causes;
}

function explainForeseen(error: unknown, places: readonly Place[]): Explained | undefined {
  const { exitCode, hint, code, details, name, message } = (error ?? {}) as Thrown;
  if (exitCode === 1 || exitCode === 2 || exitCode === 3)
    return { message: String(message), hint, exitStatus: exitCode };
  if (isSystemError(error)) return explainSystemError(error, places);
  // grpc-js, whose codes are numbers.
  if (typeof code === 'number' && typeof details === 'string')
    return { message: `a service answers with an error: ${details}`, exitStatus: 3 };
  // Temporal's native connection.
  if (name === 'TransportError')
    return { message: `the Temporal server cannot be reached: ${message}`, exitStatus: 3 };
  return undefined;
}

function explainFault(error: unknown): Explained {
  const [first = ''] = String(error).split('\n');
  return {
    message: `this is a fault of sa-orch: ${first}`,
    hint: keepDetails(error),
    exitStatus: 1,
  };
}

/** Writes down what a report of the fault needs, and says where. */
function keepDetails(error: unknown): string {
  const file = join(tmpdir(), `sa-orch-fault-${randomUUID()}.txt`);
  const details = [
    `sa-orch ${packageVersion()}, Node ${process.version}, ${process.platform} ${process.arch}`,
    process.argv.join(' '),
    inspect(error, { depth: 6 }),
  ];
  try {
    writeFileSync(file, `${details.join('\n')}\n`, { flag: 'wx', mode: 0o600 });
    return `The details, for a report of it, are in ${file}`;
  } catch (failure) {
    return `Its details could not be kept: ${(failure as Error).message}`;
  }
}
