/** What a trainer with a root of its own gives, and what stays here as it is. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from '../../../../common/lock-file';
import { Artifact } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  connectArtifacts,
  type ArtifactClient,
} from '../../../../orchestrator/trainer-client/artifacts';
import { HeldTrials } from '../../../../workflows/activities/held-trials';
import type { JobLog } from '../../../../workflows/activities/job-log';
import { RemoteFiles } from '../../../../workflows/activities/remote-files';
import { artifactOf } from '../../../support/transfers';
import { ScriptedArtifacts } from '../../support/scripted-artifacts';

const PREDICTIONS = 'trials/t1/predictions.validation.safetensors';
const OLD = Buffer.from('old');
const NEW = Buffer.from('new');
const { signal } = new AbortController();

let root: string;
let trainer: ScriptedArtifacts;
let client: ArtifactClient;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-remote-'));
  trainer = new ScriptedArtifacts();
  await trainer.listen(`unix:${root}/t.sock`);
  client = connectArtifacts(`unix:${root}/t.sock`);
});
afterEach(() => {
  client.close();
  trainer.close();
  rmSync(root, { recursive: true });
});

const write = (name: string, content: string | Buffer): void => {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
};
const filesOf = (work: 'train' | 'predict') =>
  new RemoteFiles(client, {
    ...{ root, backbonePath: join(root, 'backbone'), remoteRootId: root, work },
    spec: JobSpec.fromPartial({
      ...{ backbone: { path: 'backbones/b' }, dataset: { name: 'datasets/d' } },
      trials: [{ trialId: 't1', train: { totalSteps: 10 } }],
    }),
    ...{ onSent: () => undefined, onReceived: () => undefined },
  });
const logOf = (artifacts: Artifact[]) => ({
  ...{ reported: new Map([['t1', artifacts]]), hold: jest.fn(), keepRecord: jest.fn() },
});
const fetchResults = (log: ReturnType<typeof logOf>) =>
  filesOf('predict').fetchResults(log as unknown as JobLog, signal);

describe('a result that is reported of a trial that is done here', () => {
  beforeEach(() => {
    trainer.files.set(PREDICTIONS, NEW);
    write(PREDICTIONS, OLD);
    const artifacts = { [PREDICTIONS]: artifactOf(PREDICTIONS, OLD).digest };
    write('trials/t1/stages/predict.json', JSON.stringify({ values: {}, warnings: [], artifacts }));
  });
  const here = () => readFileSync(join(root, PREDICTIONS), 'utf8');

  test('replaces nothing, nor its record', async () => {
    write('trials/t1/result.json', JSON.stringify({ trial_id: 't1', status: 'done' }));
    const log = logOf([artifactOf(PREDICTIONS, NEW)]);
    await fetchResults(log);
    expect(here()).toBe('old');
    expect(log.keepRecord).toHaveBeenCalledWith('t1');
  });

  test('replaces a file that is not the one of the record', async () => {
    write('trials/t1/result.json', JSON.stringify({ trial_id: 't1', status: 'done' }));
    write(PREDICTIONS, 'broken');
    const log = logOf([artifactOf(PREDICTIONS, NEW)]);
    await fetchResults(log);
    expect(here()).toBe('new');
    expect(log.keepRecord).not.toHaveBeenCalled();
  });

  test('is fetched as long as there is no result', async () => {
    await fetchResults(logOf([artifactOf(PREDICTIONS, NEW)]));
    expect(here()).toBe('new');
  });
});

test('a checkpoint of a trial that is done is not fetched', async () => {
  write('trials/t1/result.json', JSON.stringify({ trial_id: 't1', status: 'done' }));
  const artifact = artifactOf('trials/t1/checkpoints/step-3', NEW);
  await filesOf('train').fetchCheckpoint({ trialId: 't1', step: 3, artifact }, signal);
  expect(existsSync(join(root, 'trials/t1/checkpoints'))).toBe(false);
});

test('the newest checkpoint is sent, even if the trainer has a newer one', async () => {
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
    write(`backbone/${name}`, '{}');
  const name = 'trials/t1/checkpoints/step-3/state.safetensors';
  write(name, NEW);
  const newer = 'trials/t1/checkpoints/step-9/state.safetensors';
  const folder = Artifact.fromPartial({ name: 'trials/t1/checkpoints' });
  trainer.folders.set(folder.name, { artifact: folder, files: [artifactOf(newer, OLD)] });
  await filesOf('train').send(logOf([]) as unknown as JobLog, signal);
  expect(trainer.files.get(name)).toEqual(NEW);
});

test('the checkpoint of a rung stays until the trial is trained to its end', async () => {
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
    write(`backbone/${name}`, '{}');
  const checkpoint = 'trials/t1/checkpoints/step-5/state.safetensors';
  write(checkpoint, NEW);
  const trained = async (place: string) => {
    write(`trials/t1/${place}/adapter_config.json`, '{}');
    await filesOf('train').fetchResults(logOf([]) as unknown as JobLog, signal);
  };
  await trained('rungs/step-5/adapter');
  expect(existsSync(join(root, checkpoint))).toBe(true);
  await filesOf('train').send(logOf([]) as unknown as JobLog, signal);
  expect(trainer.files.get(checkpoint)).toEqual(NEW);
  await trained('adapter');
  expect(existsSync(join(root, checkpoint))).toBe(false);
});

describe('the trials of a job', () => {
  const lockOf = (trial: string) => join(root, 'trials', trial, 'writer.lock');

  test('are held by one at a time, and who waits says so', async () => {
    const other = tryLock(lockOf('t1'));
    const notes: string[] = [];
    const held = new HeldTrials(root, (note) => void notes.push(note), fail);
    let isTaken = false;
    const taking = held.take(['t2', 't1'], signal).then(() => (isTaken = true));
    await sleep(100);
    expect(isTaken).toBe(false);
    expect(notes).toEqual([expect.stringMatching(/^waiting for trial t1: another trainer works/)]);
    if ('release' in other) other.release();
    await taking;
    expect(['t1', 't2'].map((trial) => existsSync(lockOf(trial)))).toEqual([true, true]);
    held.release();
    expect(['t1', 't2'].map((trial) => existsSync(lockOf(trial)))).toEqual([false, false]);
  });

  test('are not waited for once nobody wants them', async () => {
    const other = tryLock(lockOf('t1'));
    const stop = new AbortController();
    const held = new HeldTrials(root, () => stop.abort(new Error('stopped')), fail);
    await expect(held.take(['t1'], stop.signal)).rejects.toThrow('stopped');
    held.release();
    expect(existsSync(lockOf('t1'))).toBe(true);
    if ('release' in other) other.release();
  });
});

function fail(text: string): never {
  throw new Error(text);
}
