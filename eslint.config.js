const js = require('@eslint/js');
const tseslint = require('typescript-eslint');

const noDefaultExport = { selector: 'ExportDefaultDeclaration', message: 'Export by name: one thing has one name everywhere.' };
const grpcElsewhere = {
  regex: '^@grpc/',
  message: 'Only orchestrator/trainer-client speaks gRPC to a trainer: use its functions.',
};
const outsideWorkflows = {
  regex: '^(?!\\./|@temporalio/(workflow|common)$)',
  allowTypeImports: true,
  message: 'Workflow code is deterministic: from outside it imports types only. Put what touches the world into an activity.',
};
const builtinsInSweep = {
  regex: '^node:',
  message: 'orchestrator/sweep is pure: what touches the machine belongs elsewhere.',
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
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['orchestrator/sweep/**/*.ts'],
    // Ids are hashes: identity.ts alone may use node:crypto.
    ignores: ['orchestrator/sweep/identity.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [grpcElsewhere, builtinsInSweep] }] },
  },
  {
    files: ['workflows/**/*.ts'],
    // Activities and the worker run in Node; everything else here runs in Temporal's sandbox.
    ignores: ['workflows/activities/**', 'workflows/**/*activities.ts', 'workflows/**/*activity.ts', 'workflows/worker*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [grpcElsewhere, outsideWorkflows] }] },
  },
  {
    files: ['orchestrator/trainer-client/**/*.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': 'off' },
  },
);
