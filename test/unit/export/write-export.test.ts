/** What an export must never do: leave out part of a trial, or touch what is beside it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { FORMAT_NAMES, type FormatName } from '../../../orchestrator/export/export-format';
import type { TrainedTrial } from '../../../orchestrator/export/trained-trial';
import { writeExport, writeFolder } from '../../../orchestrator/export/write-export';
import { describeBackbone } from '../../../orchestrator/runtime/backbone-files';
import type { AdapterConfig, PlannedBackbone } from '../../../orchestrator/sweep/types';
import { writeTinyBackbone } from '../../support/tiny-backbone';
import { dataset, prune } from '../support/plans';
import { buildResult } from '../support/results';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

let folder: string;
let backbone: PlannedBackbone;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-write-export-'));
  const path = join(folder, 'backbone');
  writeTinyBackbone(path, 'bert', 120);
  writeFileSync(join(path, 'vocab.txt'), '[PAD]\n[UNK]\n[CLS]\n[SEP]\n');
  backbone = await describeBackbone(path, path);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const newFolder = () => join(folder, `out-${count++}`);

const LORA = completeAdapter({ kind: 'lora', bottleneck: 2 });
const HOULSBY = completeAdapter({ kind: 'houlsby', bottleneck: 2 });
const BITFIT = completeAdapter({ kind: 'bitfit' });
const PREFIX = completeAdapter({ kind: 'prefix', bottleneck: 2 });

/** A finished trial with LoRA at the first layer's query, a head, and whatever else is given. */
function trained(adapter: AdapterConfig, others: readonly string[] = []): TrainedTrial {
  const d = backbone.hidden_size;
  const of = (...shape: number[]) => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5),
  });
  const trial = plannedTrial('t1', { adapter, backbone: backbone.digest, prune: prune() });
  const plan = { ...tinyPlan([trial]), backbone };
  const result = buildResult(plan, trial, {});
  const weights = new Map([
    ['layers.0.query.down.weight', of(2, d)],
    ['layers.0.query.up.weight', of(d, 2)],
    ...['dense', 'out'].flatMap((part): [string, ReturnType<typeof of>][] => [
      [`head.${part}.weight`, part === 'dense' ? of(d, d) : of(2, d)],
      [`head.${part}.bias`, part === 'dense' ? of(d) : of(2)],
    ]),
    ...others.map((name): [string, ReturnType<typeof of>] => [name, of(d, d)]),
  ]);
  return {
    ...{ root: folder, plan, trial, result, dataset: dataset('mrpc'), backbone, weights },
    ...{ masksFile: join(folder, 'none'), config: {}, siblings: [result] },
  };
}

test.each(FORMAT_NAMES)('as %s nothing of a trial is left out unnoticed', async (format) => {
  await writeExport(trained(LORA), format, newFolder());
  const out = newFolder();
  const later = trained(LORA, ['layers.0.query.up.scale']);
  await expect(writeExport(later, format, out)).rejects.toThrow(
    `t1 cannot be exported as ${format}: the export would leave out ` +
      '1 tensor (layers.0.query.up.scale)',
  );
  expect(readdirSync(folder)).not.toContain(out.split('/').at(-1));
});

test.each(['peft', 'adapterhub'] as const)('%s cannot replace tensors', async (format) => {
  const later = trained({ ...BITFIT, unfrozen: 'none', unfrozen_tensors: ['*.bias'] });
  await expect(writeExport(later, format, newFolder())).rejects.toThrow(
    'it adds to a backbone and cannot replace its tensors, as `unfrozen_tensors: [*.bias]` does; ' +
      '--format merged or safetensors can hold it',
  );
});

const LATER: [string, AdapterConfig, object][] = [
  ['attention: parallel_context', HOULSBY, { attention: 'parallel_context' }],
  ['attention: concat', HOULSBY, { attention: 'concat' }],
  ['norm: update', HOULSBY, { norm: 'update' }],
  ['attention_norm: update', HOULSBY, { attention_norm: 'update' }],
  ['attention_scale: 2', HOULSBY, { attention_scale: 2 }],
  ['learned_scale: true', HOULSBY, { learned_scale: true }],
  ['prefix_use: cross', PREFIX, { prefix_use: 'cross' }],
  // What no list names, as the contract may gain it: a field, and a word.
  ['later_field: 1', LORA, { later_field: 1 }],
  ['activation: later', HOULSBY, { activation: 'later' }],
];
const OTHERS = FORMAT_NAMES.filter((name) => name !== 'safetensors');
test.each(LATER.flatMap((row) => OTHERS.map((format) => [format, ...row] as const)))(
  'as %s an adapter with %s is refused by name',
  async (format: FormatName, setting, adapter, change) => {
    const later = trained({ ...adapter, ...change });
    await expect(writeExport(later, format, newFolder())).rejects.toThrow(
      `cannot be exported as ${format}: no form but this project's own has \`${setting}\`; ` +
        '--format safetensors can hold it',
    );
  },
);

test('what shapes training alone, or is what attention has anyway, is no obstacle', async () => {
  const same = { attention_scale: LORA.scale, attention_norm: LORA.norm };
  const training = { attention_init: 'gaussian', inner_dropout: true, frozen: ['head.*'] };
  const adapter = { ...LORA, ...same, ...training, unfrozen_tensors: [] } as AdapterConfig;
  const { files } = await writeExport(trained(adapter), 'peft', newFolder());
  expect(Object.keys(files)).toContain('adapter_model.safetensors');
});

test('hidden files beside --out stay, whatever their names and age', async () => {
  const home = newFolder();
  mkdirSync(home);
  const longAgo = new Date(Date.now() - 48 * 3600 * 1000);
  const theirs = ['.bashrc.20240101', '.config.deadbeef', `.work.${'0'.repeat(8)}-1-x.12345678`];
  for (const name of theirs) {
    mkdirSync(join(home, name));
    writeFileSync(join(home, name, 'kept'), '');
    utimesSync(join(home, name), longAgo, longAgo);
  }
  await writeFolder(join(home, 'out'), new Map([['a', 'b']]));
  expect(readdirSync(home).sort()).toEqual([...theirs, 'out'].sort());
});
