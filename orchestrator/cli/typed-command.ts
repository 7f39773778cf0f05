/**
 * Commands that are printed have the form in which this one was typed, so that they can be pasted
 * where they are read: `npx sa-orch`, a path, `node bin/sa-orch.js`, or the name of a link on PATH;
 * with `--root` and `--state-dir` if those were typed.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { packageRoot } from '../../common/package';
import { quoteCommand } from '../base/shell-quote';
import { findOnPath } from '../runtime/run-command';

/** What a process knows of how it was started. */
export interface Typing {
  argv: readonly string[];
  /** The program as the shell was given it. */
  argv0: string;
  execArgv: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
}

const NAME = 'sa-orch';

/** Commands that work on no folder of sweeps or services. */
const WITHOUT_PLACES = ['help', 'score'];

/** The words that are commands after the program's name, and no prose. */
let commands: readonly string[] = [];

export function nameCommands(names: readonly string[]): void {
  commands = [...names, 'help'];
}

/** Where a sweep was found, if not in the folder of this command. */
let foundPlaces: readonly string[] | undefined;

/** From now on, printed commands name these folders. */
export function namePlaces(root: string, stateDir: string): void {
  foundPlaces = ['--root', root, '--state-dir', stateDir];
}

/** How this process was started. */
const ownTyping = (): Typing => ({
  argv: process.argv,
  argv0: process.argv0,
  execArgv: process.execArgv,
  env: process.env,
  cwd: currentFolder(),
});

function currentFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/'; // it was removed
  }
}

/**
 * A text with every command `sa-orch <name> …` in the form that was typed. Help is about any
 * folder, so it leaves out the places.
 */
export function writeAsTyped(
  text: string,
  { withPlaces = true } = {},
  typing: Typing = ownTyping(),
): string {
  if (!text.includes(NAME)) return text;
  const program = nameProgram(typing);
  const places = withPlaces ? quoteCommand(...(foundPlaces ?? typedPlaces(typing.argv))) : '';
  return text.replaceAll(/(?<![\w./-])sa-orch ([a-z]+)(?![\w/-])/g, (found, command: string) => {
    if (!commands.includes(command)) return found;
    const takesPlaces = places !== '' && !WITHOUT_PLACES.includes(command);
    return `${program} ${command}${takesPlaces ? ` ${places}` : ''}`;
  });
}

/** `--root` and `--state-dir` as typed. */
export function typedPlaces(argv: readonly string[]): string[] {
  return argv.slice(2).flatMap((word, i, words) => {
    const [flag = '', ...value] = word.split('=');
    if (flag !== '--root' && flag !== '--state-dir' && flag !== '--state_dir') return [];
    const folder = value.length > 0 ? value.join('=') : words[i + 1];
    return folder === undefined ? [] : [flag.replace('_', '-'), folder];
  });
}

/** How to start this program, quoted for a shell. */
export function nameProgram(typing: Typing): string {
  const main = typing.argv[1] ?? '';
  // A test, or one of the services: nobody typed this.
  if (!isOurs(main)) return NAME;
  const { cwd, env } = typing;
  const word = basename(main);
  const byNpm = basename(dirname(main)) === '.bin';
  if (byNpm && findsWithNpx(word, cwd)) return `npx ${word}`;
  const onPath = findOnPath(word, env);
  if (!byNpm && onPath === main) return quoteCommand(word);
  // Bash and zsh put here what they ran. Others leave what they were given.
  const ran = env._ === undefined ? undefined : resolve(cwd, env._);
  if (ran === main) return quoteCommand(shortenPath(main, cwd, true));
  const script = byNpm ? realpathSync(main) : main;
  return quoteCommand(typing.argv0, ...typing.execArgv, shortenPath(script, cwd, false));
}

function isOurs(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(join(packageRoot(), 'bin', 'sa-orch.js'));
  } catch {
    return false;
  }
}

/**
 * Whether `npx <word>` in this folder runs a program of the package around it. Anywhere else it
 * would ask the registry for a package of that name, which may be anyone's.
 */
function findsWithNpx(word: string, folder: string): boolean {
  if (existsSync(join(folder, 'node_modules', '.bin', word))) return true;
  const manifest = join(folder, 'package.json');
  if (existsSync(manifest)) {
    try {
      const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin?: object };
      return bin !== undefined && word in bin;
    } catch {
      return false;
    }
  }
  return dirname(folder) !== folder && findsWithNpx(word, dirname(folder));
}

/** The shorter of the absolute and the relative path; to be run, a relative one needs a slash. */
function shortenPath(path: string, cwd: string, toRun: boolean): string {
  const short = relative(cwd, path);
  const written = toRun && !short.includes('/') ? `./${short}` : short;
  return written.length < path.length ? written : path;
}
