/**
 * The README's commands for a GPU box and a laptop, as they stand there: two clones, each with a
 * home, an artifact root and a state of its own, which only a TLS connection joins.
 */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../common/package';
import { findOnPath } from '../../orchestrator/runtime/run-command';
import { writeFilmReviews } from '../support/film-reviews';
import { findFreePort } from '../support/free-port';
import { until } from '../support/until';

const { SA_ORCH_TEST_PYTHON, SA_ORCH_TEST_TEMPORAL, SA_ORCH_TEST_BACKBONE } = process.env;
const isPossible =
  SA_ORCH_TEST_PYTHON && SA_ORCH_TEST_TEMPORAL && SA_ORCH_TEST_BACKBONE && findOnPath('openssl');
const describeHere = isPossible ? describe : describe.skip;

/** What a clone does not have, or what would be installed in it. */
const NOT_CLONED = ['.git', 'node_modules', 'checkpoints', '.sa-orch'];

/** What the README's section types on each of the two machines, in its order. */
function readCommands(): { box: string; laptop: string } {
  const readme = readFileSync(join(packageRoot(), 'README.md'), 'utf8');
  const [, section] = /^## GPUs and clusters\n(.*?)^## /ms.exec(readme)!;
  const blocks = [...section!.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  const [box, laptop] = blocks.find((block) => block.includes('sa-orch trainer'))!.split('\n\n');
  return { box: box!, laptop: laptop! };
}

/** A machine of its own: a home, and a clone of this repository where its user types. */
class Machine {
  readonly clone: string;
  private readonly home: string;
  said = '';

  constructor(folder: string) {
    this.home = join(folder, 'home');
    this.clone = join(folder, 'sa-orch');
    mkdirSync(this.home, { recursive: true });
    for (const name of readdirSync(packageRoot()).filter((each) => !NOT_CLONED.includes(each)))
      cpSync(join(packageRoot(), name), join(this.clone, name), { recursive: true });
    symlinkSync(join(packageRoot(), 'node_modules'), join(this.clone, 'node_modules'));
  }

  /** Types into a shell; its processes are a group, to be ended together. */
  type(commands: string) {
    const shell = spawn('/bin/sh', ['-ec', commands], {
      cwd: this.clone,
      // What `sa-orch doctor` would install here, it finds.
      env: {
        ...{ PATH: process.env.PATH, HOME: this.home, TMPDIR: process.env.TMPDIR },
        ...{ HF_HUB_OFFLINE: '1', npm_config_offline: 'true' },
        ...{ SA_ORCH_PYTHON: SA_ORCH_TEST_PYTHON, SA_ORCH_TEMPORAL: SA_ORCH_TEST_TEMPORAL },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [shell.stdout, shell.stderr])
      stream.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    const ended = once(shell, 'exit') as Promise<[number | null]>;
    const interrupt = async (): Promise<void> => {
      if (shell.exitCode === null) process.kill(-shell.pid!, 'SIGINT');
      await ended;
    };
    return { shell, ended, interrupt };
  }

  trials(): string[] {
    const folder = join(this.clone, 'checkpoints', 'trials');
    return existsSync(folder) ? readdirSync(folder) : [];
  }
}

describeHere('the README’s commands for two machines', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-machines-'));
  const [box, laptop] = ['box', 'laptop'].map((name) => new Machine(join(folder, name))) as [
    Machine,
    Machine,
  ];
  afterAll(async () => {
    await laptop.type('npx sa-orch down --force').ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  test('make certificates, start a trainer, and train on it from the other', async () => {
    const port = String(await findFreePort());
    /** Here both machines are this one; and the sweep is a small one of the user's own. */
    const here = (commands: string): string =>
      commands
        .replaceAll('gpu-box:7400', `localhost:${port}`)
        .replaceAll('0.0.0.0:7400', `0.0.0.0:${port}`)
        .replaceAll('in gpu-box laptop', 'in localhost laptop')
        .replaceAll('tls/gpu-box/', 'tls/localhost/')
        .replaceAll('--sweep glue', '--sweep ./s.yaml');
    const commands = readCommands();
    const trainer = box.type(here(commands.box));
    try {
      await until(() => {
        if (trainer.shell.exitCode !== null) throw new Error(box.said);
        return box.said.includes('"listening"');
      }, 60);
      const certificates = join('tls', 'laptop');
      cpSync(join(box.clone, certificates), join(laptop.clone, certificates), { recursive: true });
      writeFilmReviews(laptop.clone);
      appendFileSync(join(laptop.clone, 's.yaml'), `backbone: ${SA_ORCH_TEST_BACKBONE}\n`);

      const [status] = await laptop.type(here(commands.laptop)).ended;
      expect(laptop.said).toContain('1 of 1 trials done');
      expect(status).toBe(0);
      expect(laptop.trials()).toHaveLength(1);
      expect(box.trials()).toEqual(laptop.trials());
    } finally {
      await trainer.interrupt();
    }
  });
});
