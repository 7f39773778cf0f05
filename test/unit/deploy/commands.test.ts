/** What the files of `deploy/` run is what the programs understand; both sides fit each other. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { packageRoot } from '../../../common/package';
import { tlsFromEnvironment } from '../../../orchestrator/trainer-client/channel';
import { listCommands, parseWords } from '../support/parse-words';
import { containerOf, DEPLOY, readCompose, readObject, runTool } from './manifests';

const TRAINER = join(packageRoot(), 'trainer', 'torch');
const compose = readCompose();
const trainers = Object.entries(compose.services).filter(([name]) => name.startsWith('trainer-'));
const statefulSet = readObject('trainer.yaml', 'StatefulSet');
const trainer = containerOf(statefulSet);
const deployment = readObject('worker.yaml', 'Deployment');
const worker = containerOf(deployment);
const environmentOf = ({ env }: typeof worker): Record<string, string> =>
  Object.fromEntries(env!.map(({ name, value }) => [name, value]));

const describeTorch = process.env.SA_ORCH_TEST_PYTHON === undefined ? describe.skip : describe;

describe('the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-deploy-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  for (const name of ['ca', 'cert', 'key']) writeFileSync(join(folder, `${name}.pem`), name);

  test.each([
    ['compose', compose.services.worker!.command!, compose.services.worker!.environment!],
    ['Kubernetes', worker.args, environmentOf(worker)],
  ])('understands what the worker of %s runs, with its settings', async (_, words, env) => {
    expect(await parseWords(words)).toEqual({ trainer: ['dns:trainer:7400'] });
    const here = Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value.replace(/^\/tls\//, `${folder}/`)]),
    );
    const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: here });
    expect(connectionOptions).toMatchObject({
      address: env.TEMPORAL_ADDRESS,
      tls: {
        serverRootCACertificate: Buffer.from('ca'),
        clientCertPair: { crt: Buffer.from('cert'), key: Buffer.from('key') },
      },
    });
    expect(namespace).toBe('default');
    const tls = { ca: '/tls/ca.pem', cert: '/tls/cert.pem', key: '/tls/key.pem' };
    expect(tlsFromEnvironment(env)).toEqual(tls);
  });

  test('understands what the Slurm script runs', async () => {
    const script = readFileSync(join(DEPLOY, 'slurm', 'trainer.sbatch'), 'utf8');
    const [, typed] = /sa-orch\.js" ((?:.*\\\n)*.*) "\$@" &/.exec(script)!;
    const words = typed!.replaceAll('\\\n', '').replaceAll(/\$\{?\w+[^} "/]*\}?/g, '8');
    const options = await parseWords(words.replaceAll('"', '').split(/\s+/));
    expect(options).toMatchObject({ register: true, listen: '0.0.0.0:8', threads: 8 });
  });

  test('understands the commands that compose.yaml begins with', async () => {
    const [head] = readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8').split('\nname:');
    const typed = listCommands(head!);
    expect(typed).toContainEqual(['start', '--sweep', 'glue', '--trainer', 'dns:trainer:7400']);
    for (const words of typed) await parseWords(words);
  });
});

describeTorch('the trainer (SA_ORCH_TEST_PYTHON)', () => {
  const run = (...words: string[]) =>
    runTool(process.env.SA_ORCH_TEST_PYTHON!, ['-I', join(TRAINER, 'isolated.py'), ...words]);

  test('understands what containers run, and is told of a client’s authority', () => {
    for (const words of [trainer.args, trainers[0]![1].command!]) {
      const [module, ...options] = words;
      const parse = `import sys; from ${module}.__main__ import parse; print(parse(sys.argv[1:]))`;
      expect(run('-c', parse, ...options).output).toContain(
        "tls_client_ca=PosixPath('/tls/ca.pem')",
      );
    }
    expect(trainers.map(([, { command }]) => command)).toEqual(trainers.map(() => trainer.args));
  });

  test('is asked for its health by a module that it has', () => {
    const { exec } = trainer.livenessProbe as { exec: { command: string[] } };
    const asked = exec.command.slice(exec.command.indexOf('trainer/torch/isolated.py') + 1);
    const [module, address, folder] = asked;
    expect([address, folder]).toEqual(['localhost:7400', '/tls']);
    expect(run(module!, address!, '/nowhere').output).toMatch(/No such file.*\/nowhere\/ca\.pem/);
    for (const [, { healthcheck }] of trainers)
      expect(healthcheck!.test).toEqual(['CMD', ...exec.command]);
  });
});

test('all name the same port', () => {
  expect(trainer.ports).toEqual([{ name: 'grpc', containerPort: 7400 }]);
  expect(readObject('trainer.yaml', 'Service').spec.ports).toEqual([{ name: 'grpc', port: 7400 }]);
  expect(trainer.args).toContain('--listen=0.0.0.0:7400');
});

test('a trainer has the time that it takes to leave in order', () => {
  const source = readFileSync(join(TRAINER, 'sparse_adapter_trainer', '__main__.py'), 'utf8');
  const seconds = [...source.matchAll(/^(?:STOP_JOB|CLOSE_CALLS)_SECONDS = (\d+)$/gm)];
  expect(seconds).toHaveLength(2);
  const needed = seconds.reduce((sum, [, each]) => sum + Number(each), 0);
  const grace = [
    statefulSet.spec.template!.spec.terminationGracePeriodSeconds,
    ...trainers.map(([, service]) => parseInt(service.stop_grace_period!)),
    Number(
      /--signal=B:USR1@(\d+)/.exec(readFileSync(join(DEPLOY, 'slurm/trainer.sbatch'), 'utf8'))![1],
    ),
  ];
  for (const each of grace) expect(each).toBeGreaterThan(2 * needed);
});

test('every container has as few rights as it can', () => {
  const open = Object.entries(compose.services).filter(
    ([, { cap_drop }]) => JSON.stringify(cap_drop) !== '["ALL"]',
  );
  expect(open).toEqual([]);
  const writable = Object.entries(compose.services).filter(([, each]) => each.read_only !== true);
  expect(writable.map(([name]) => name)).toEqual(['ui']);
  const root = Object.entries(compose.services).filter(([, { user }]) => user === '0:0');
  expect(root.map(([name]) => name)).toEqual(['certificates']);
});
