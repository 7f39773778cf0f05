import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../../../common/package';
import { addSweepOptions } from '../../../orchestrator/cli/options';
import { explainUsageErrors } from '../../../orchestrator/cli/usage';

/** Types a command line. Returns what it says on stderr, or null if the command would run. */
async function type(...args: string[]): Promise<string | null> {
  let said = '';
  const root = new Command('sa-orch');
  root.configureOutput({ writeErr: (text) => (said += text) });
  let ran = false;
  const start = addSweepOptions(new Command('start'))
    .requiredOption('--sweep <name|file>', 'a sweep')
    .action(() => void (ran = true));
  root.addCommand(start.copyInheritedSettings(root));
  for (const command of [root, start]) explainUsageErrors(command.exitOverride());
  try {
    await root.parseAsync(['node', 'sa-orch', ...args]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    expect(error.exitCode).toBe(1);
  }
  return ran ? null : said;
}

describe('a mistyped command line', () => {
  test.each([
    [['start', '--swep', 'glue'], "unknown option '--swep'\n(Did you mean --sweep?)"],
    [['start', '--data', 'x'], "unknown option '--data'\n(Did you mean --data-dir?)"],
    [['start', '--sed', '1', '--sweep', 'x'], "unknown option '--sed'\n(Did you mean --seeds?)"],
    [['start', '--nothing'], "unknown option '--nothing'"],
    [['start'], "required option '--sweep <name|file>' not specified"],
    [
      ['start', 'glue'],
      "required option '--sweep <name|file>' not specified\n(Did you mean --sweep glue?)",
    ],
    [['start', '--sweep', 'glue', 'x'], "unexpected argument 'x'"],
    [['strat'], "unknown command 'strat'\n(Did you mean start?)"],
  ])('%j says what was meant', async (args, said) => {
    expect(await type(...args)).toBe(`error: ${said}\n`);
  });

  test.each([
    [
      ['--rows', '10%'],
      'must be a whole number of at least 1, or `all`; percents are not understood',
    ],
    [['--rows', '0'], 'must be a whole number of at least 1, or `all`'],
    [['--seeds', '1-x'], 'must be a list of seeds: 1,2,3 or 1-5 or 1-3,7'],
    [['--seeds', '5-1'], 'must be a list of seeds: 1,2,3 or 1-5 or 1-3,7'],
  ])('%j says what would be right', async (args, right) => {
    expect(await type('start', '--sweep', 'glue', ...args)).toContain(`is invalid. ${right}\n`);
  });

  test('runs once it is right', async () => {
    expect(await type('start', '--sweep', 'glue', '--seeds', '1-5', '--rows', 'all')).toBeNull();
  });
});

test.each<[string[], RegExp, unknown]>([
  [
    ['plan', '--json', '--seeds', 'x', '--sweep', 't.yaml'],
    /^option '--seeds <list>' argument 'x' is invalid. must be a list of seeds/,
    null,
  ],
  [['strat', '--json'], /^unknown command 'strat'$/, 'Did you mean start?'],
  [['start', '--json'], /^required option '--sweep <name\|file>' not specified$/, null],
  [['help', 'nosuch', '--json'], /^there is no such command$/, expect.stringContaining(' help`')],
])('%j is also told in a JSON document', (args, message, hint) => {
  const command = join(packageRoot(), 'bin', 'sa-orch.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toEqual({
    error: { message: expect.stringMatching(message) as string, hint, exit_status: 2 },
  });
  expect(stderr).not.toBe('');
});
