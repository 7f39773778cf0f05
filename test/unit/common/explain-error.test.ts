import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { status, type ServiceError } from '@grpc/grpc-js';
import { explainError, explainOnOneLine } from '../../../common/explain-error';
import { UserError } from '../../../orchestrator/base/errors';
import { TrainerError } from '../../../orchestrator/trainer-client/errors';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-explain-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What a call throws. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it threw nothing');
}

describe('an error of the operating system', () => {
  const asSystem = (code: string, syscall: string, path?: string) =>
    Object.assign(new Error(`${code}: in Node's words, ${syscall}`), { code, syscall, path });

  it('names the file that does not exist', () => {
    const path = join(folder, 'none');
    expect(explainError(thrownBy(() => readFileSync(path)))).toEqual({
      message: `cannot open ${path}: it does not exist`,
      exitStatus: 2,
    });
  });

  it('names the file that is in the way of a folder, and the option for another one', () => {
    writeFileSync(join(folder, 'file'), '');
    const error = thrownBy(() => mkdirSync(join(folder, 'file', 'a', 'b'), { recursive: true }));
    expect(explainError(error, [{ folder: join(folder, 'file'), option: '--root <dir>' }])).toEqual(
      {
        message: expect.stringContaining(`${join(folder, 'file')} is not a folder`) as string,
        hint: 'Name another folder with --root <dir>.',
        exitStatus: 2,
      },
    );
  });

  it('names the innermost of several places', () => {
    const places = [
      { folder: '/w', option: '--root <dir>' },
      { folder: '/w/state', option: '--state-dir <dir>' },
    ];
    const { hint } = explainError(asSystem('EROFS', 'open', '/w/state/x'), places);
    expect(hint).toBe('Name another folder with --state-dir <dir>.');
    expect(explainError(asSystem('EROFS', 'open', '/elsewhere'), places).hint).toBeUndefined();
  });

  it.each([
    [
      'EACCES',
      'open',
      /^cannot open \/etc\/passwd: user .+ has no permission for \/etc\/passwd$/,
      2,
    ],
    ['EPERM', 'unlink', /^cannot remove \/etc\/passwd: user .+ has no permission/, 2],
    ['EROFS', 'mkdir', /^cannot create \/etc\/passwd: its file system is read-only$/, 2],
    ['EISDIR', 'read', /it is a folder, not a file$/, 2],
    ['ELOOP', 'open', /its symbolic links lead in a circle$/, 2],
    ['ENAMETOOLONG', 'open', /its name is too long for the file system$/, 2],
    ['EMFILE', 'open', /too many files are open$/, 2],
    ['ENOSPC', 'write', /^no room on the disk of \/etc\/passwd: [\d,]+ MB free$/, 1],
    ['EIO', 'read', /^cannot read \/etc\/passwd: /, 1],
    ['ECONNREFUSED', 'connect', /^cannot connect to /, 3],
    ['EADDRINUSE', 'listen', /^cannot listen on /, 3],
  ])('%s of %s is a sentence', (code, syscall, sentence, exitStatus) => {
    const explained = explainError(asSystem(code, syscall, '/etc/passwd'));
    expect(explained.message).toMatch(sentence);
    expect(explained.exitStatus).toBe(exitStatus);
  });

  it('of a name that is too long is a sentence wherever the name stands', () => {
    const long = 'x'.repeat(300);
    for (const path of [`/${long}`, `/${long}/y`, join(folder, long)])
      expect(explainError(thrownBy(() => readFileSync(path))).message).toBe(
        `cannot open ${path}: its name is too long for the file system`,
      );
  });

  it('knows the errors that Node foresees', () => {
    expect(explainError(thrownBy(() => rmSync(folder))).message).toBe(
      `cannot remove ${folder}: it is a folder, not a file`,
    );
  });

  it('says that a program is not there, and that the working directory is gone', () => {
    expect(explainError(spawnSync('/no/program').error).message).toBe(
      'cannot run /no/program: there is no such program',
    );
    const { message } = explainError(asSystem('ENOENT', 'uv_cwd'));
    expect(message).toMatch(/^the working directory no longer exists/);
  });

  it('is found behind the errors that it caused', () => {
    const error = new Error('outer', { cause: thrownBy(() => readFileSync(join(folder, 'none'))) });
    expect(explainError(error).message).toMatch(/none: it does not exist$/);
  });
});

describe('an error of a service', () => {
  it('is what the service says, with status 3', () => {
    const unavailable: Partial<ServiceError> = {
      code: status.UNAVAILABLE,
      details: 'no connection',
    };
    const error = new Error('outer', { cause: Object.assign(new Error('14'), unavailable) });
    expect(explainError(error)).toEqual({
      message: 'a service answers with an error: no connection',
      exitStatus: 3,
    });
  });

  it('of a trainer depends on whether it answered', () => {
    expect(explainError(new TrainerError(status.UNAVAILABLE, 'away')).exitStatus).toBe(3);
    expect(explainError(new TrainerError(status.INTERNAL, 'broken')).exitStatus).toBe(1);
  });
});

describe('a fault of the program', () => {
  const fault = () => (undefined as unknown as { x: number }).x;

  it('is one sentence without a stack trace, which is in a file', () => {
    const { message, hint, exitStatus } = explainError(thrownBy(fault));
    expect(message).toMatch(/^this is a fault of sa-orch: TypeError: .*undefined/);
    expect(message).not.toContain('\n');
    expect(exitStatus).toBe(1);
    const [file] = /\/\S+$/.exec(hint!)!;
    expect(readFileSync(file, 'utf8')).toMatch(/TypeError: [^]*explain-error\.test\.ts/);
    rmSync(file);
  });

  it.each([[undefined], [null], ['text'], [{}]])('may be anything: %p', (thrown) => {
    const { message, hint } = explainError(thrown);
    expect(message).toMatch(/^this is a fault of sa-orch: /);
    rmSync(/\/\S+$/.exec(hint!)![0]);
  });
});

test('a log gets message and hint on one line', () => {
  expect(explainOnOneLine(new UserError('no server', 3, 'Start one.\nOr two.'))).toBe(
    'no server. Start one. Or two.',
  );
});
