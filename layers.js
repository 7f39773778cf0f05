/**
 * What each folder of this project is for, and what it may import. eslint holds every file to it
 * (bin/layers-rule.js); a folder that is not here is an error.
 *
 * A row is a folder without those inside it, `<folder>/**` with them, or a file that is held to
 * something else than its folder. A row imports from rows before it alone; of a later one it may
 * import types, where `types` says so.
 *
 *   holds      what is in it
 *   imports    rows that it may import beside itself, or single files; ANY: all of them
 *   types      rows that it may import types of, besides
 *   packages   npm packages and Node's own modules that it may import; `node:*`: all of Node's
 */
const ANY = '*';

/** What a task family may import: never another one, nor the registry. */
const FAMILY = [
  'gen/ts/**',
  'common',
  'common/vocabulary',
  'orchestrator/base',
  'orchestrator/sweep',
  'orchestrator/tables',
  'orchestrator/tokenizers',
  'orchestrator/datasets',
  'orchestrator/config/schema-parts.ts',
  'orchestrator/tasks/family.ts',
  'orchestrator/tasks/inputs.ts',
];

const sources = {
  'gen/ts/**': {
    holds: 'messages and services of the contract, made from `proto/`',
    imports: [],
    packages: ANY,
  },
  'common/vocabulary': {
    holds: 'the words of pruners, modules, schedules, …, each with what it is in the contract',
    imports: ['gen/ts/**'],
    packages: [],
  },
  common: {
    holds: 'what orchestrator and trainers share: durable files, locks, safetensors',
    imports: ['common/vocabulary'],
    packages: ['node:*'],
  },
  'orchestrator/base': {
    holds: 'errors, progress, suggestions, plurals',
    imports: [],
    packages: [],
  },
  'orchestrator/sweep': {
    holds: 'plan, budget, cohorts; pure',
    imports: ['common/vocabulary', 'orchestrator/base'],
    types: ['orchestrator/config'],
    packages: [],
  },
  'orchestrator/sweep/identity.ts': {
    holds: 'ids of trials and sweeps, which are hashes',
    imports: ['orchestrator/sweep'],
    packages: ['node:crypto'],
  },
  'orchestrator/tables': {
    holds: 'readers of CSV, TSV, JSON and parquet files',
    imports: ['common', 'orchestrator/base', 'orchestrator/sweep/identity.ts'],
    packages: ['hyparquet', 'hyparquet-compressors', 'node:*'],
  },
  'orchestrator/tokenizers': {
    holds: 'text to tokens, and the way back',
    imports: ['common', 'orchestrator/base', 'orchestrator/sweep', 'orchestrator/tables'],
    packages: ['node:*', 'tokenizers'],
  },
  'orchestrator/datasets': {
    holds: 'what the data sets of all task families are made of',
    imports: ['common', 'orchestrator/base', 'orchestrator/sweep', 'orchestrator/tables'],
    types: ['orchestrator/config'],
    packages: ['@huggingface/hub', 'node:*'],
  },
  'orchestrator/config/schema-parts.ts': {
    holds: 'what schemas are made of',
    imports: [],
    packages: ['zod'],
  },
  'orchestrator/tasks/rows': {
    holds: 'classification and regression: GLUE, and tables of your own',
    imports: FAMILY,
    types: ['orchestrator/config'],
    packages: ['node:*', 'zod'],
  },
  'orchestrator/tasks/questions': {
    holds: 'question answering: SQuAD',
    imports: FAMILY,
    types: ['orchestrator/config'],
    packages: ['node:*', 'zod'],
  },
  'orchestrator/tasks/summaries': {
    holds: 'summarization: XSum, CNN/DailyMail',
    imports: FAMILY,
    types: ['orchestrator/config'],
    packages: ['node:*', 'zod'],
  },
  'orchestrator/tasks': {
    holds: 'what all task families share, and the registry that holds them',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/tables',
      'orchestrator/tokenizers',
      'orchestrator/datasets',
      'orchestrator/tasks/rows',
      'orchestrator/tasks/questions',
      'orchestrator/tasks/summaries',
    ],
    types: ['orchestrator/config'],
    packages: ['node:*', 'zod'],
  },
  'orchestrator/config': {
    holds: 'sweep files: schema, defaults, profiles, messages',
    imports: [
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/tables',
      'orchestrator/tasks',
    ],
    packages: ['node:*', 'yaml', 'zod'],
  },
  'orchestrator/store': {
    holds: 'the files of sweeps and trials',
    imports: ['common', 'orchestrator/base', 'orchestrator/sweep'],
    packages: ['node:*'],
  },
  'orchestrator/diagnostics': {
    holds: 'what a finished trial tells beside its metrics: curves, confused classes, its mask',
    imports: [
      'common',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/store',
    ],
    packages: ['node:*'],
  },
  'orchestrator/report': {
    holds: 'tables, plot, CSV, Markdown, HTML, JSON',
    imports: [
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/config',
      'orchestrator/store',
      'orchestrator/diagnostics',
    ],
    packages: ['node:*', 'vega', 'vega-lite'],
  },
  'orchestrator/trainer-client': {
    holds: 'the only code of the orchestrator that speaks gRPC to a trainer',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/config',
    ],
    packages: ['@grpc/grpc-js', 'node:*'],
  },
  'orchestrator/runtime': {
    holds: 'the supervisor, the embedded Temporal server, environments, backbones',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/tokenizers',
      'orchestrator/trainer-client',
    ],
    types: ['orchestrator/sweep'],
    packages: [
      '@huggingface/hub',
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/envconfig',
      'node:*',
      'zod',
    ],
  },
  'orchestrator/export': {
    holds: 'finished trials as adapters of other libraries, and as models',
    imports: [
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/store',
      'orchestrator/report',
      'orchestrator/runtime',
    ],
    packages: ['node:*'],
  },
  workflows: {
    holds: 'workflows and their messages: deterministic, so types alone come from elsewhere',
    imports: [],
    types: ANY,
    packages: ['@temporalio/common', '@temporalio/workflow'],
  },
  'workflows/activities': {
    holds: 'what a workflow lets touch files and the trainer',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/config',
      'orchestrator/store',
      'orchestrator/diagnostics',
      'orchestrator/report',
      'orchestrator/trainer-client',
      'workflows',
    ],
    packages: ['@opentelemetry/api', '@temporalio/activity', '@temporalio/common', 'node:*'],
  },
  'workflows/worker-tracing.ts': {
    holds: 'exports traces of a worker, if that is asked for',
    imports: ['common', 'workflows'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/context-async-hooks',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace-base',
      '@temporalio/interceptors-opentelemetry',
      '@temporalio/worker',
    ],
  },
  'workflows/worker-main.ts': {
    holds: 'the worker: a process that hosts workflows and activities',
    imports: ['common', 'orchestrator/base', 'workflows/activities', 'workflows/worker-tracing.ts'],
    packages: ['@temporalio/envconfig', '@temporalio/worker', 'node:*'],
  },
  'orchestrator/cli': {
    holds: 'one file a command',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/config',
      'orchestrator/store',
      'orchestrator/report',
      'orchestrator/trainer-client',
      'orchestrator/runtime',
      'orchestrator/export',
      'workflows',
    ],
    packages: ['@temporalio/client', '@temporalio/common', 'commander', 'node:*'],
  },
  'trainer/host': {
    holds: 'what of a trainer in TypeScript is not tensor arithmetic: gRPC, jobs, logs, artifacts',
    imports: ['gen/ts/**', 'common', 'common/vocabulary'],
    packages: ['@bufbuild/protobuf', '@grpc/grpc-js', 'node:*'],
  },
  'trainer/tfjs/**': {
    holds: 'the TensorFlow.js trainer: an engine on the host',
    imports: ['gen/ts/**', 'common', 'common/vocabulary', 'trainer/host'],
    packages: ['@tensorflow/tfjs-core', 'node:*'],
  },
};

const tools = {
  '.': { holds: 'settings of the tools, and these layers', imports: ['bin'], packages: ANY },
  bin: { holds: 'the command, the build, checks of the source', imports: ['.'], packages: ANY },
};

const tests = {
  'test/support/**': {
    holds: 'processes, trainers and folders for tests; nothing of the tests themselves',
    imports: [
      'gen/ts/**',
      'common',
      'common/vocabulary',
      'orchestrator/base',
      'orchestrator/sweep',
      'orchestrator/datasets',
      'orchestrator/tasks',
      'orchestrator/runtime',
      'orchestrator/trainer-client',
      'trainer/host',
    ],
    packages: ANY,
  },
  'test/**': { holds: 'tests, in folders like those of the sources', imports: ANY, packages: ANY },
};

module.exports = { ANY, LAYERS: { ...sources, ...tools, ...tests } };
