/** `deploy/slurm/trainer.sbatch` as Slurm runs it: with its variables, and its signals. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../common/package';
import { runCommand } from '../../orchestrator/runtime/run-command';
import { askCapabilities } from '../../orchestrator/runtime/trainer-health';
import { readTrainers } from '../../orchestrator/trainer-client/registry';
import { until } from '../support/until';

const CLONE = packageRoot();
const TRAINER = join(CLONE, 'trainer', 'torch', 'isolated.py');
const JOB = 4321;
const ADDRESS = `${hostname()}:${20_000 + JOB}`;

const python = process.env.SA_ORCH_TEST_PYTHON;
const folder = mkdtempSync(join(tmpdir(), 'sa-orch-slurm-'));
const [root, tls, own, tools] = ['root', 'tls', 'own', 'tools'].map((name) => join(folder, name));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the script as a job's batch shell, with a stand-in for Slurm's `scontrol`. */
function runJob(...words: string[]) {
  const job = spawn(join(CLONE, 'deploy', 'slurm', 'trainer.sbatch'), words, {
    cwd: folder,
    env: {
      ...process.env,
      ...{ PATH: `${tools}:${process.env.PATH}`, TMPDIR: own, SA_ORCH_PYTHON: python },
      ...{ SLURM_JOB_ID: String(JOB), SLURM_CPUS_PER_TASK: '1', SLURM_SUBMIT_DIR: CLONE },
      ...{ SA_ORCH_ROOT: root, SA_ORCH_TLS: tls },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [job.stdout, job.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => job.on('exit', resolve));
  return { job, ended, said: () => said };
}

const describeTorch = python === undefined ? describe.skip : describe;

describeTorch('a trainer under Slurm (SA_ORCH_TEST_PYTHON)', () => {
  beforeAll(async () => {
    for (const each of [own!, tools!]) mkdirSync(each);
    const scontrol = `#!/bin/sh\necho "$@" >> ${folder}/asked\n`;
    writeFileSync(join(tools!, 'scontrol'), scontrol, { mode: 0o755 });
    const make = join(CLONE, 'deploy', 'make-certificates.sh');
    expect((await runCommand(make, [tls!, 'worker', hostname()])).status).toBe(0);
  });

  test.each([
    ['the time limit', 'torch', 'SIGUSR1', [`requeue ${JOB}`]],
    ['scancel', 'tfjs', 'SIGTERM', []],
  ] as const)(
    'lists itself, and leaves at the signal of %s: %s',
    async (_, framework, signal, asked) => {
      const { job, ended, said } = runJob('--framework', framework);
      let left = false;
      void ended.then(() => (left = true));
      const isListed = async () => (await readTrainers(root!)).trainers.length === 1;
      await until(async () => left || (said().includes('"listening"') && (await isListed())));
      expect((await readTrainers(root!)).trainers).toMatchObject([{ address: ADDRESS }]);

      const files = (party: string) => ({
        ca: join(tls!, party, 'ca.pem'),
        cert: join(tls!, party, 'cert.pem'),
        key: join(tls!, party, 'key.pem'),
      });
      const answer = await askCapabilities({ address: ADDRESS, tls: files('worker') }, 10_000);
      expect(answer.devices).toHaveLength(1);
      const stranger = { ca: files('worker').ca };
      await expect(askCapabilities({ address: ADDRESS, tls: stranger }, 5000)).rejects.toThrow(
        'no TLS connection came about with SA_ORCH_TRAINER_CA=',
      );
      const check = [
        '-I',
        TRAINER,
        'sparse_adapter_trainer.check_health',
        `localhost:${20_000 + JOB}`,
      ];
      expect(await runCommand(python!, [...check, join(tls!, 'worker')])).toMatchObject({
        ...{ status: 0, stderr: '' },
      });

      job.kill(signal);
      expect(await ended).toBe(0);
      expect((await readTrainers(root!)).trainers).toEqual([]);
      expect(readdirSync(own!).filter((name) => name.startsWith('tmp.'))).toEqual([]);
      const log = join(folder, 'asked');
      const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : [];
      expect(lines).toEqual(asked);
      rmSync(log, { force: true });
    },
  );

  test('says what it needs to know', async () => {
    const script = join(CLONE, 'deploy', 'slurm', 'trainer.sbatch');
    const { status, stderr } = await runCommand(script, [], { env: { PATH: process.env.PATH } });
    expect(stderr).toContain('SA_ORCH_ROOT: must name the artifact root');
    expect(status).toBe(1);
  });
});
