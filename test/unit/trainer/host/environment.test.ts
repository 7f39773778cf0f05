/** What made a trial's files, kept with them. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '../../../../common/safetensors';
import { Environment } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { newestCheckpoint, writeCheckpoint } from '../../../../trainer/host/checkpoints';
import { continueIn, readEnvironments, toMetadata } from '../../../../trainer/host/environment';
import { JobSpec } from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { describeResult, predictionsFile } from '../../../../trainer/host/trial-files';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-environment-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const CPU = Environment.fromPartial({ framework: 'toy', device: 'cpu', details: { threads: '2' } });
const GPU = Environment.fromPartial({ framework: 'toy', device: 'cuda', deviceName: 'H100' });

test('environments follow one another, each once in a row', () => {
  const again = Environment.fromPartial(CPU);
  expect(continueIn([], CPU)).toEqual([CPU]);
  expect(continueIn([CPU], again)).toEqual([CPU]);
  expect(continueIn([CPU, GPU], again)).toEqual([CPU, GPU, CPU]);
});

test('a file says what made it; one of an older trainer is unknown, a broken list is said', () => {
  const write = (metadata: Record<string, string>) => {
    const path = join(root, 'x.safetensors');
    writeFileSync(path, encodeSafetensors({}, metadata));
    return path;
  };
  expect(readEnvironments(write({ source: 's', ...toMetadata([CPU, GPU]) }))).toEqual([CPU, GPU]);
  expect(readEnvironments(write({ source: 's' }))).toEqual([Environment.create()]);
  expect(() => readEnvironments(write({ environments: '{' }))).toThrow(
    /x\.safetensors: environments in its metadata cannot be read/,
  );
});

test('a result has what made each of its files, named once', () => {
  const write = (name: string, environments: Environment[]) =>
    writeFileSync(
      join(root, 'trials', 't1', name),
      encodeSafetensors({}, toMetadata(environments)),
    );
  mkdirSync(join(root, 'trials', 't1', 'adapter'), { recursive: true });
  write('adapter/adapter_model.safetensors', [CPU, GPU, CPU]);
  write('predictions.a.safetensors', [CPU]);
  write('predictions.b.safetensors', [GPU]);
  write('predictions.c.safetensors', [CPU]);
  const splits = ['a', 'b', 'c'].map((name) => predictionsFile(JobSpec.create(), name));
  expect(describeResult(root, 't1', splits, {}).environments).toEqual([CPU, GPU]);
  expect(describeResult(root, 't1', ['adapter'], {}).environments).toEqual([CPU, GPU, CPU]);
});

test('a checkpoint has what trained so far, an older one only its last run', () => {
  const position = {
    source: 's',
    step: 4,
    rows: 32,
    seconds: 1,
    lossSum: 0,
    lossRows: 0,
    rounds: 0,
  };
  writeCheckpoint(root, 't', { position, state: {}, environments: [CPU, GPU] }, 2);
  const read = () => newestCheckpoint(root, 't', 's', 4, {}).checkpoint!;
  expect(read()).toEqual({ position, state: new Map(), environments: [CPU, GPU] });
  const path = join(root, 'trials/t/checkpoints/step-4/position.json');
  const { environments, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as {
    environments: { details: unknown }[];
  };
  writeFileSync(path, JSON.stringify({ ...rest, environment: environments[0]!.details }));
  expect(read().environments).toEqual([Environment.fromPartial({ details: CPU.details })]);
});
