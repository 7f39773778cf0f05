const js = require('@eslint/js');
const tseslint = require('typescript-eslint');

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Export by name: one thing has one name everywhere.',
};
const grpcElsewhere = {
  regex: '^@grpc/',
  message:
    'Only orchestrator/trainer-client speaks gRPC to a trainer, and only trainer/host serves ' +
    'it: use their functions.',
};
const outsideWorkflows = {
  regex: '^(?!\\./|@temporalio/(workflow|common)$)',
  allowTypeImports: true,
  message:
    'Workflow code is deterministic: from outside it imports types only. Put what touches the ' +
    'world into an activity.',
};
const builtinsInSweep = {
  regex: '^node:',
  message: 'orchestrator/sweep is pure: what touches the machine belongs elsewhere.',
};
const orchestratorInTrainer = {
  regex: '/(orchestrator|workflows)/',
  message: 'A trainer knows nothing of sweeps: what it shares with the orchestrator is in common/.',
};
const projectInCommon = {
  regex: '^\\.\\./(?!(\\.\\./)*gen/)',
  message:
    'common/ imports nothing of the project but the generated contract: everything imports ' +
    'common/.',
};

module.exports = tseslint.config(
  { ignores: ['dist/', 'gen/', 'node_modules/', 'checkpoints/', '.sa-orch/', 'trainer/torch/'] },
  js.configs.recommended,
  {
    files: ['**/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        module: 'writable',
        process: 'readonly',
        console: 'readonly',
        __dirname: 'readonly',
        __filename: 'readonly',
      },
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: __dirname } },
    rules: {
      'no-restricted-syntax': ['error', noDefaultExport],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [grpcElsewhere] }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ['orchestrator/sweep/**/*.ts'],
    // Ids are hashes: identity.ts alone may use node:crypto.
    ignores: ['orchestrator/sweep/identity.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [grpcElsewhere, builtinsInSweep] },
      ],
    },
  },
  {
    files: ['workflows/**/*.ts'],
    // Activities and the worker run in Node; everything else here runs in Temporal's sandbox.
    ignores: [
      'workflows/activities/**',
      'workflows/**/*activities.ts',
      'workflows/**/*activity.ts',
      'workflows/worker*.ts',
    ],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [grpcElsewhere, outsideWorkflows] },
      ],
    },
  },
  {
    files: ['common/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [grpcElsewhere, projectInCommon] },
      ],
    },
  },
  {
    files: ['trainer/**/*.ts'],
    ignores: ['trainer/host/**'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [grpcElsewhere, orchestratorInTrainer] },
      ],
    },
  },
  {
    files: ['trainer/host/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [orchestratorInTrainer] }],
    },
  },
  {
    files: ['orchestrator/trainer-client/**/*.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': 'off' },
  },
);
