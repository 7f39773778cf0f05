/** What the operating system refuses, in words: which file, why, and what to do about it. */
import { accessSync, constants, lstatSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, isAbsolute, sep } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { describeFullDisk, isDiskFull } from './disk-space';

/** An error for people. */
export interface Explained {
  message: string;
  /** What to do about it. */
  hint?: string;
  /** 1 the work failed, 2 the request was wrong, 3 a service could not be reached. */
  exitStatus: 1 | 2 | 3;
}

/** A folder of the program, and how a user names another one. */
export interface Place {
  folder: string;
  /** For example `--root <dir>`. */
  option: string;
}

/** What the program wanted, by the call that failed. */
const WISHES: Record<string, string> = {
  open: 'open',
  read: 'read',
  write: 'write',
  fsync: 'write',
  ftruncate: 'write',
  scandir: 'list',
  opendir: 'list',
  mkdir: 'create',
  mkdtemp: 'create',
  symlink: 'create',
  link: 'create',
  rename: 'create',
  copyfile: 'copy',
  unlink: 'remove',
  rmdir: 'remove',
  rm: 'remove',
  chmod: 'change',
  utime: 'change',
  connect: 'connect to',
  bind: 'listen on',
  listen: 'listen on',
};

const NETWORK_CALLS = ['connect', 'bind', 'listen', 'getaddrinfo'];

/** Faults of a path or a limit, which the user can mend; others are the machine's. */
const USERS_TO_MEND = [
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'ENXIO',
  'ENODEV',
  'EMFILE',
  'ENFILE',
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ETXTBSY',
  'ENOEXEC',
];

/** What another folder would help against. */
const NEEDS_ANOTHER_PLACE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG'];

/** `EISDIR`, or `ERR_FS_EISDIR` where Node foresees what the system would say. */
const CODE = /^(?:ERR_FS_)?(E[A-Z0-9]+)$/;

/** Whether the operating system refused something. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return CODE.test(String(code)) && typeof syscall === 'string';
}

/** @param places folders of the program, of which the innermost is meant */
export function explainSystemError(
  error: NodeJS.ErrnoException,
  places: readonly Place[] = [],
): Explained {
  const { syscall = '' } = error;
  const code = codeOf(error);
  if (syscall === 'uv_cwd') {
    return {
      message: 'the working directory no longer exists, or may not be entered',
      hint: 'Change to one that does (cd), then repeat the command.',
      exitStatus: 2,
    };
  }
  if (isDiskFull(error) && error.path !== undefined) {
    return {
      message: describeFullDisk(error.path, error),
      hint: 'Free some space, then repeat the command.',
      exitStatus: 1,
    };
  }
  if (NETWORK_CALLS.includes(syscall)) return explainNetwork(error);
  // A rename or link names the temporary file first.
  const path = (error as { dest?: string }).dest ?? error.path;
  const wish = syscall.startsWith('spawn') ? 'run' : (WISHES[syscall] ?? 'use');
  return {
    message: `cannot ${wish} ${path ?? 'a file'}: ${explainRefusal(error, path)}`,
    hint: adviseOn(code, path, places),
    exitStatus: USERS_TO_MEND.includes(code) ? 2 : 1,
  };
}

function explainNetwork(error: NodeJS.ErrnoException): Explained {
  const { address, port, hostname } = error as {
    address?: string;
    port?: number;
    hostname?: string;
  };
  const where = hostname ?? [address, port].filter((part) => part !== undefined).join(':');
  const wish = WISHES[error.syscall ?? ''] ?? 'find';
  return {
    message: `cannot ${wish} ${where === '' ? 'the network' : where}: ${systemWords(error)}`,
    exitStatus: 3,
  };
}

const codeOf = ({ code = '' }: NodeJS.ErrnoException): string => CODE.exec(code)?.[1] ?? code;

/** Why the operating system refused a path, for the end of a sentence. */
export function explainRefusal(error: NodeJS.ErrnoException, path = error.path): string {
  const blocker = path === undefined ? undefined : findBlocker(path);
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return `${nameUser()} has no permission${blocker === undefined ? '' : ` for ${blocker}`}`;
    case 'EROFS':
      return 'its file system is read-only';
    case 'ENOTDIR':
      return `${blocker ?? 'a part of the path'} is not a folder`;
    case 'EISDIR':
      return 'it is a folder, not a file';
    case 'ENOENT':
      return error.syscall?.startsWith('spawn') ? 'there is no such program' : 'it does not exist';
    case 'EEXIST':
      return `${blocker ?? 'it'} is in the way`;
    case 'ELOOP':
      return 'its symbolic links lead in a circle';
    case 'ENAMETOOLONG':
      return 'its name is too long for the file system';
    case 'EMFILE':
    case 'ENFILE':
      return 'too many files are open';
    default:
      return systemWords(error);
  }
}

function adviseOn(
  code: string,
  path: string | undefined,
  places: readonly Place[],
): string | undefined {
  if (code === 'EMFILE' || code === 'ENFILE')
    return 'Raise the limit (ulimit -n 4096), then repeat the command.';
  const [place] = (NEEDS_ANOTHER_PLACE.includes(code) ? places : [])
    .filter(({ folder }) => path === folder || path?.startsWith(`${folder}${sep}`))
    .sort((a, b) => b.folder.length - a.folder.length);
  const elsewhere = place && `name another folder with ${place.option}`;
  const mend =
    code === 'EACCES' || code === 'EPERM' ? 'change its owner or permissions' : undefined;
  const ways = [mend, elsewhere].filter((way) => way !== undefined).join(', or ');
  return ways === '' ? undefined : `${ways[0]!.toUpperCase()}${ways.slice(1)}.`;
}

/** The operating system's own words, for example `connection refused (ECONNREFUSED)`. */
export function systemWords({ code, errno, message }: NodeJS.ErrnoException): string {
  const [, words] = (errno === undefined ? undefined : getSystemErrorMap().get(errno)) ?? [];
  return words === undefined ? message : `${words} (${code})`;
}

function nameUser(): string {
  const uid = process.getuid?.();
  try {
    return `user ${userInfo().username}`;
  } catch {
    // A container may run with a user id that has no name.
    return `user ${uid}`;
  }
}

/** The folder above a path, or the path itself, that keeps this process from it. */
function findBlocker(path: string): string | undefined {
  if (!isAbsolute(path)) return undefined;
  const above: string[] = [];
  for (let folder = dirname(path); !above.includes(folder); folder = dirname(folder))
    above.unshift(folder);
  for (const folder of above) {
    try {
      if (!statSync(folder).isDirectory()) return folder;
      accessSync(folder, constants.X_OK);
    } catch {
      return exists(folder) ? folder : dirname(folder);
    }
  }
  return exists(path) ? path : dirname(path);
}

/** Also true of a broken link; false of what cannot be, as a name that is too long. */
function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
