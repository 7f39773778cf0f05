/**
 * What every trainer says of a bad request, word for word: the same fields, in the same order,
 * with the same sentences. The cases of bad-requests.json are wrong in themselves, whatever a
 * trainer can do; those below depend on what it can do and has.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AttentionModule,
  FfnModule,
  MaskRules,
  MaskStructure,
  Precision,
  Pruner,
  PruneScope,
  TaskKind,
  Unfrozen,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { testOf } from '../support/abilities';
import { changedSpec, namesIn, type Changes } from '../support/changed-spec';
import { anyTrial, HEAD_ALONE, job, PRUNE, refusal, submit, trial } from '../support/jobs';
import { describeStartedTrainer, type StartedTrainer } from '../support/started-trainer';
import cases from './bad-requests.json';

interface Case {
  title: string;
  /** How many trials the job has, t0 being changed; 1 where left out. */
  trials?: number;
  change: Changes;
  /** By field, in the order of a trainer's answer. {Pruner}: the names of that enumeration. */
  says: Record<string, string>;
}

type Said = [field: string, description: string][];

async function collectSaid(call: Promise<unknown>, code: string): Promise<Said> {
  const error = await refusal(call);
  expect(error.code).toBe(code);
  expect(error.refused).toBe(true);
  return error.fieldViolations.map(({ field, description }) => [field, description]);
}

describeStartedTrainer(
  'of a request that is wrong in itself, a trainer says the same as all',
  (here) => {
    test.each(cases as unknown as Case[])('$title', async ({ trials = 1, change, says }) => {
      const named = Array.from({ length: trials }, (_, i) => trial(`t${i}`));
      const spec = changedSpec(job(here.dataset, named, PRUNE), change);
      const expected = Object.entries(says).map(([field, text]) => [
        field,
        text.replace(/\{(\w+)\}/, (_, enumeration: string) => namesIn(enumeration)),
      ]);
      // The digest stands for nothing here: NaN has no canonical form.
      const call = here.client.submitJob('refused', 'a'.repeat(64), spec);
      expect(await collectSaid(call, 'INVALID_ARGUMENT')).toEqual(expected);
    });

    const NO_IDS = ['..', '.', '/', '../../x', 'a/b', '', '\0', 'a\0b', ' ', 'é', 'A'];
    test.each([...NO_IDS, 'x'.repeat(129)])('an id that is none: %j', async (id) => {
      const refuse = (jobId: string, trialId: string) =>
        collectSaid(
          here.client.submitJob(jobId, 'a'.repeat(64), job(here.dataset, [trial(trialId)], PRUNE)),
          'INVALID_ARGUMENT',
        );
      const shown = `'${id.replace('\0', '\\x00')}'`;
      expect(await refuse(id, 't0')).toEqual([
        ['job_id', `${shown} is not 1 to 128 characters of a-z, 0-9 and '-'`],
      ]);
      expect(await refuse('refused', id)).toEqual([
        ['spec.trials[0].trial_id', `${shown} is not 1 to 64 characters of a-z, 0-9 and '-'`],
      ]);
    });

    test('an id or a digest that is none', async () => {
      const spec = job(here.dataset, [trial('t0')], PRUNE);
      expect(
        await collectSaid(here.client.submitJob('../x', 'abc', spec), 'INVALID_ARGUMENT'),
      ).toEqual([
        ['job_id', "'../x' is not 1 to 128 characters of a-z, 0-9 and '-'"],
        ['spec_digest', "'abc' is not a SHA-256 in 64 hexadecimal digits"],
      ]);
    });
  },
);

describeStartedTrainer('of a request that it cannot do, a trainer says the same as all', (here) => {
  const plain = (changes: Changes = {}) =>
    changedSpec(job(here.dataset, [anyTrial('never-done')], PRUNE), changes);

  async function expectUnmet(spec: JobSpec, expected: Said): Promise<void> {
    expect(await collectSaid(submit(here.client, spec), 'FAILED_PRECONDITION')).toEqual(expected);
  }

  test('what is not among its capabilities, with those that are', async () => {
    const able = await here.client.getCapabilities();
    for (const each of sampleTrials()) {
      const expected = unsupported(each, able);
      if (expected.length > 0) await expectUnmet(job(here.dataset, [each], PRUNE), expected);
    }
    for (const [word, precision] of Object.entries(Precision)) {
      if (Number(precision) <= 0 || able.precisions.includes(precision as Precision)) continue;
      if (typeof precision === 'number')
        await expectUnmet(plain({ precision: word }), [
          ['spec.precision', notSupported(word, able.precisions, Precision)],
        ]);
    }
    if (!able.taskKinds.includes(TaskKind.TASK_KIND_REGRESSION)) {
      const changes = { 'dataset.task_kind': 'TASK_KIND_REGRESSION', 'dataset.num_labels': 1 };
      const says = notSupported('TASK_KIND_REGRESSION', able.taskKinds, TaskKind);
      await expectUnmet(plain(changes), [['spec.dataset.task_kind', says]]);
    }
  });

  test('more trials than it takes', async () => {
    const { maxCohort } = await here.client.getCapabilities();
    const trials = Array.from({ length: maxCohort + 1 }, (_, i) => anyTrial(`t${i}`));
    const says = `has ${maxCohort + 1} trials; this trainer takes at most ${maxCohort} in a job`;
    await expectUnmet({ ...plain(), trials }, [['spec.trials', says]]);
  });

  test('a hub id where it does not download', async () => {
    const { hubDownload } = await here.client.getCapabilities();
    if (hubDownload) return;
    const says = "'roberta-base' is a hub id, and this trainer does not download";
    await expectUnmet(plain({ 'backbone.path': 'roberta-base' }), [['spec.backbone.path', says]]);
  });

  test('a backbone that is not there', async () => {
    const said = await collectSaid(
      submit(here.client, plain({ 'backbone.path': '/no/such' })),
      'FAILED_PRECONDITION',
    );
    // In brackets stands what the system said.
    expect(said.map(([field, text]) => [field, text.replace(/\([^()]*\)$/, '(…)')])).toEqual([
      [
        'spec.backbone.path',
        '/no/such has no readable config.json with model_type and hidden_size ' +
          "on the trainer's machine (…)",
      ],
    ]);
  });

  test('a backbone of another kind', async () => {
    const { architectures } = await here.client.getCapabilities();
    const supported = `this trainer supports ${architectures.join(', ')}`;
    // Before anything else that it lacks.
    for (const config of [{ model_type: 'gpt2', hidden_size: 384 }, { model_type: 'gpt2' }]) {
      const path = writeBackbone(here, config);
      const says = `${path} is of type 'gpt2'; ${supported}`;
      await expectUnmet(plain({ 'backbone.path': path }), [['spec.backbone.path', says]]);
    }
    const path = writeBackbone(here, { hidden_size: 384 });
    const says = `${path}/config.json has no model_type; ${supported}`;
    await expectUnmet(plain({ 'backbone.path': path }), [['spec.backbone.path', says]]);
  });

  test('a data set or a split that is not there', async () => {
    const digest = 'e'.repeat(32);
    const name = `datasets/${digest}`;
    await expectUnmet(plain({ 'dataset.name': name, 'dataset.digest': digest }), [
      [
        'spec.dataset.name',
        `${name}/dataset.json does not exist under the trainer's artifact root`,
      ],
    ]);
    mkdirSync(join(here.place.root, name), { recursive: true });
    writeFileSync(join(here.place.root, name, 'dataset.json'), '{}');
    await expectUnmet(plain({ 'dataset.name': name, 'dataset.digest': digest }), [
      ['spec.dataset.name', `${name}/train.safetensors does not exist`],
    ]);
    await expectUnmet(plain({ 'predict.splits[0]': 'test' }), [
      ['spec.predict.splits[0]', `${here.dataset.name}/test.safetensors does not exist`],
      ['spec.trials[0]', missing('adapter/adapter_model.safetensors', 'train')],
    ]);
  });

  test('predictions in the middle of training of a trial that has no adapter', async () => {
    const file = 'rungs/step-7/adapter/adapter_model.safetensors';
    await expectUnmet(plain({ 'predict.at_step': 7 }), [
      ['spec.trials[0]', missing(file, 'train with until_step 7')],
    ]);
  });

  test('what an earlier job has not written yet', async () => {
    await expectUnmet(plain({ 'train.until_step': 1 }), [
      ['spec.trials[0]', missing('masks.safetensors', 'prune')],
    ]);
  });

  testOf([trial('t0')], 'a bottleneck wider than the backbone bears', async () => {
    const path = writeBackbone(here, { model_type: 'bert', hidden_size: 384 });
    await expectUnmet(plain({ 'backbone.path': path, 'trials[0].adapter.ffn_bottleneck': 2000 }), [
      [
        'spec.trials[0].adapter.ffn_bottleneck',
        "2000 is more than 4 × the backbone's hidden size, 1536",
      ],
    ]);
  });

  /** What is said of a trial that does not fit, before what this trainer lacks for it. */
  async function expectMisfit(
    changes: Parameters<typeof trial>[1],
    config: Record<string, unknown>,
    misfit: Said[number],
  ): Promise<void> {
    const able = await here.client.getCapabilities();
    const path = writeBackbone(here, config);
    const each = trial('t0', changes);
    const [field, says] = misfit;
    await expectUnmet(job(here.dataset, [each], PRUNE, path), [
      [field, says.replace('{path}', path)],
      ...unsupported(each, able),
    ]);
  }

  const BERT = { model_type: 'bert', hidden_size: 384, intermediate_size: 1536 };
  const LORA_ATTENTION = { attention: AttentionModule.ATTENTION_MODULE_LORA };
  const LORA = { ffn: FfnModule.FFN_MODULE_LORA };
  const UNITS = { structure: MaskStructure.MASK_STRUCTURE_UNITS };
  const groupsOf = (groupSize: number): Partial<Trial['prune']> => ({
    structure: MaskStructure.MASK_STRUCTURE_N_M,
    scope: PruneScope.PRUNE_SCOPE_LOCAL,
    ...{ groupKept: 1, groupSize, sparsity: 1 - 1 / groupSize },
  });

  test('groups that do not divide the rows of a matrix', async () => {
    await expectMisfit({ prune: groupsOf(5) }, BERT, [
      'spec.trials[0].prune.group_size',
      '5 does not divide the 384 columns of layers.0.attention.down.weight; every prunable ' +
        'matrix has a multiple of it',
    ]);
    await expectMisfit({ adapter: LORA_ATTENTION, prune: groupsOf(16) }, BERT, [
      'spec.trials[0].prune.group_size',
      '16 does not divide the 8 columns of layers.0.ffn.up.weight; every prunable matrix has a ' +
        'multiple of it',
    ]);
  });

  test('a global choice among units of different sizes', async () => {
    await expectMisfit({ adapter: LORA, prune: UNITS }, BERT, [
      'spec.trials[0].prune.scope',
      'is GLOBAL, which takes units of equal size; one of layers.0.attention has 768 weights, ' +
        'one of layers.0.ffn_in 1920: it is LOCAL',
    ]);
  });

  test('units of a width that config.json does not say', async () => {
    const { model_type, hidden_size } = BERT;
    await expectMisfit({ adapter: LORA, prune: UNITS }, { model_type, hidden_size }, [
      'spec.backbone.path',
      "{path}/config.json has no intermediate_size, which FFN_MODULE_LORA's matrices depend on",
    ]);
  });

  test('summaries by an encoder, and classes by an encoder–decoder', async () => {
    const { architectures, taskKinds } = await here.client.getCapabilities();
    const summaries = { 'dataset.task_kind': 'TASK_KIND_SUMMARIZATION', 'dataset.num_labels': 0 };
    const kind = TaskKind.TASK_KIND_SUMMARIZATION;
    const lacksKind: Said = taskKinds.includes(kind)
      ? []
      : [['spec.dataset.task_kind', notSupported(TaskKind[kind], taskKinds, TaskKind)]];
    const bert = writeBackbone(here, BERT);
    const able = await here.client.getCapabilities();
    const each = trial('never-done');
    const spec = job(here.dataset, [each], PRUNE, bert);
    await expectUnmet(changedSpec(spec, summaries), [
      ...lacksKind,
      [
        'spec.backbone.path',
        `${bert} is of type 'bert'; SUMMARIZATION needs an encoder–decoder: bart, t5`,
      ],
      ...unsupported(each, able),
    ]);
    const bart = writeBackbone(here, { model_type: 'bart', d_model: 768 });
    const why = architectures.includes('bart')
      ? `${bart} is of type 'bart', an encoder–decoder; it is for SUMMARIZATION, and the data ` +
        'set is for CLASSIFICATION'
      : `${bart} is of type 'bart'; this trainer supports ${architectures.join(', ')}`;
    await expectUnmet(plain({ 'backbone.path': bart }), [['spec.backbone.path', why]]);
  });

  test('and has no job after all these refusals', async () => {
    expect(await here.client.listJobs()).toEqual([]);
  });

  const missing = (file: string, work: string) =>
    `trials/never-done/${file} does not exist; a job that does ${work} writes it`;
});

/** A folder with this config.json and no weights. */
function writeBackbone({ place }: StartedTrainer, config: Record<string, unknown>): string {
  const path = join(place.root, `backbone-${String(config.model_type)}`);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  return path;
}

/** A valid trial for each value of an enumeration that capabilities list. */
function sampleTrials(): Trial[] {
  const known = <E extends number>(enumeration: Record<string, string | E>) =>
    Object.values(enumeration).filter((each): each is E => Number(each) > 0);
  const dense = HEAD_ALONE.prune;
  return [
    ...known(AttentionModule).map((attention) =>
      trial('t0', { adapter: { attention }, prune: dense }),
    ),
    ...known(FfnModule).map((ffn) => trial('t0', { adapter: { ffn }, prune: dense })),
    ...known(Unfrozen).map((unfrozen) =>
      trial('t0', { adapter: { ...HEAD_ALONE.adapter, unfrozen }, prune: dense }),
    ),
    ...known(Pruner).map((pruner) =>
      trial('t0', { prune: { pruner, sparsity: pruner === Pruner.PRUNER_NONE ? 0 : 0.5 } }),
    ),
    trial('t0', { prune: { structure: MaskStructure.MASK_STRUCTURE_UNITS } }),
    trial('t0', { prune: { rules: MaskRules.MASK_RULES_OFFICIAL } }),
    trial('t0', { prune: { everySteps: 2, rounds: 2 } }),
  ];
}

function notSupported(
  word: string,
  able: readonly number[],
  enumeration: Record<number, string>,
): string {
  const names = able.map((value) => enumeration[value]).join(', ');
  return `${word} is not supported by this trainer; it supports ${names}`;
}

function unsupported({ adapter, prune }: Trial, able: Capabilities): Said {
  const { pruner, structure, rules, everySteps } = prune!;
  const wanted: [string, number, readonly number[], Record<number, string>][] = [
    ['adapter.attention', adapter!.attention, able.attentionModules, AttentionModule],
    ['adapter.ffn', adapter!.ffn, able.ffnModules, FfnModule],
    ['adapter.unfrozen', adapter!.unfrozen, able.unfrozen, Unfrozen],
    ['prune.pruner', pruner, able.pruners, Pruner],
  ];
  if (pruner !== Pruner.PRUNER_NONE)
    wanted.push(
      ['prune.structure', structure, able.maskStructures, MaskStructure],
      ['prune.rules', rules, able.maskRules, MaskRules],
    );
  const said = wanted
    .filter(([, value, listed]) => !listed.includes(value))
    .map(([field, value, listed, names]): Said[number] => [
      `spec.trials[0].${field}`,
      notSupported(names[value]!, listed, names),
    ]);
  if (everySteps > 0 && !able.prunesDuringTraining)
    said.push([
      'spec.trials[0].prune.every_steps',
      `${everySteps} is not 0; this trainer does not prune during training`,
    ]);
  return said;
}
