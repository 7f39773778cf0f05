/** Every value of the contract's enumerations is handled, or refused by its name and its field. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Capabilities } from '../../../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import * as contract from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { LATER_FIELDS } from '../../../../common/vocabulary/later-fields';
import { HANDLED_SETTINGS } from '../../../../trainer/host/handled-settings';
import { unmetPreconditions } from '../../../../trainer/host/preconditions';
import { wholeSpec, type WholeSpec } from '../../../../trainer/host/whole-spec';
import { job, PRUNE, trial } from '../../../support/jobs';

type Enumeration = Record<string, string | number>;

const values = (enumeration: Enumeration): number[] =>
  Object.values(enumeration).filter((value): value is number => Number(value) > 0);

/** By enumeration: what capabilities call it, and where a job has it. */
const LISTED: Record<string, [keyof Capabilities, string, (spec: WholeSpec, v: number) => void]> = {
  AttentionModule: [
    'attentionModules',
    'spec.trials[0].adapter.attention',
    ({ trials }, value) => (trials[0]!.adapter.attention = value),
  ],
  FfnModule: [
    'ffnModules',
    'spec.trials[0].adapter.ffn',
    ({ trials }, value) => (trials[0]!.adapter.ffn = value),
  ],
  Unfrozen: [
    'unfrozen',
    'spec.trials[0].adapter.unfrozen',
    ({ trials }, value) => (trials[0]!.adapter.unfrozen = value),
  ],
  Pruner: [
    'pruners',
    'spec.trials[0].prune.pruner',
    ({ trials }, value) => (trials[0]!.prune.pruner = value),
  ],
  MaskStructure: [
    'maskStructures',
    'spec.trials[0].prune.structure',
    ({ trials }, value) => (trials[0]!.prune.structure = value),
  ],
  MaskRules: [
    'maskRules',
    'spec.trials[0].prune.rules',
    ({ trials }, value) => (trials[0]!.prune.rules = value),
  ],
  TaskKind: [
    'taskKinds',
    'spec.dataset.task_kind',
    ({ dataset }, value) => (dataset.taskKind = value),
  ],
  AdapterNorm: [
    'adapterNorms',
    'spec.trials[0].adapter.norm',
    ({ trials }, value) => (trials[0]!.adapter.norm = value),
  ],
  Precision: ['precisions', 'spec.precision', (spec, value) => (spec.precision = value)],
};

const root = mkdtempSync(join(tmpdir(), 'sa-orch-handled-'));
const backbone = join(root, 'backbone');
const dataset = {
  ...{ name: 'datasets/d', digest: 'd', numLabels: 2 },
  taskKind: contract.TaskKind.TASK_KIND_CLASSIFICATION,
};
beforeAll(() => {
  for (const folder of [backbone, join(root, dataset.name)]) mkdirSync(folder, { recursive: true });
  const config = { model_type: 'bert', hidden_size: 384, intermediate_size: 1536 };
  writeFileSync(join(backbone, 'config.json'), JSON.stringify(config));
  for (const file of ['dataset.json', 'train.safetensors'])
    writeFileSync(join(root, dataset.name, file), '');
});
afterAll(() => rmSync(root, { recursive: true }));

const enumerations = Object.entries(contract).filter(
  (entry): entry is [string, Enumeration & (typeof entry)[1]] =>
    typeof entry[1] === 'object' && 'UNRECOGNIZED' in entry[1],
);
const enumerationOf = (name: string) => (contract as unknown as Record<string, Enumeration>)[name]!;

/** A job that a trainer with everything can do. */
const makeSpec = (): WholeSpec =>
  wholeSpec(job(dataset, [trial('t0', { prune: { groupSize: 4 } })], PRUNE, backbone));
const everything = (): Capabilities =>
  Capabilities.create({
    ...{ maxCohort: 8, architectures: ['bert'], prunesDuringTraining: true },
    fields: Object.entries(LATER_FIELDS).flatMap(([part, names]) =>
      names.map((name) => `${part}.${name}`),
    ),
    ...Object.fromEntries(
      Object.entries(LISTED).map(([name, [list]]) => [list, values(enumerationOf(name))]),
    ),
  });
const said = (spec: WholeSpec, able: Capabilities, field: string): string[] =>
  unmetPreconditions(spec, able, root)
    .filter((each) => each.field === field)
    .map(({ description }) => description);

/** Values that no engine on this host handles yet. */
const UNHANDLED: Record<string, number[]> = {
  'adapter.prefix_use': [
    contract.PrefixUse.PREFIX_USE_CROSS_GATED,
    contract.PrefixUse.PREFIX_USE_CROSS_RELU_NORMED,
    contract.PrefixUse.PREFIX_USE_CROSS_RELU_GATED,
  ],
};

test('every enumeration of a job has its list', () => {
  const settings = enumerations.filter(([, enumeration]) =>
    HANDLED_SETTINGS.some((setting) => setting.enumeration === enumeration),
  );
  expect([...Object.keys(LISTED), ...settings.map(([name]) => name)].sort()).toEqual(
    enumerations.map(([name]) => name).sort(),
  );
});

test.each(Object.keys(LISTED))('%s: what capabilities do not list is refused by name', (name) => {
  const [list, field, set] = LISTED[name]!;
  for (const value of values(enumerationOf(name))) {
    const spec = makeSpec();
    set(spec, value);
    expect(said(spec, everything(), field)).toEqual([]);
    const able = everything();
    const rest = (able[list] as number[]).filter((each) => each !== value);
    expect(said(spec, { ...able, [list]: rest }, field)).toEqual([
      expect.stringContaining(`${enumerationOf(name)[value]} is not supported by this trainer`),
    ]);
  }
});

test.each(HANDLED_SETTINGS.map((setting) => [setting.field, setting] as const))(
  '%s: all values are handled now; one that were not is refused by name',
  (field, setting) => {
    expect([...setting.supported, ...(UNHANDLED[field] ?? [])].sort()).toEqual(
      values(setting.enumeration).sort(),
    );
    for (const value of setting.supported) {
      const spec = makeSpec();
      const inCamelCase = field.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
      const [message, key] = inCamelCase.split('.') as ['prune', 'scope'];
      (spec.trials[0]![message][key] as number) = value;
      const at = `spec.trials[0].${field}`;
      expect(said(spec, everything(), at)).toEqual([]);
      const rest = setting.supported.filter((each) => each !== value);
      jest.replaceProperty(setting, 'supported', rest);
      expect(said(spec, everything(), at)).toEqual([
        expect.stringContaining(`${setting.enumeration[value]} is not supported by this trainer`),
      ]);
      jest.restoreAllMocks();
    }
  },
);
