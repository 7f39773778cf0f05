// The kinds of tests, each a project of its own: `npx jest --selectProjects unit`.
//
//   unit         functions and files; seconds
//   conformance  the contract in proto/, against a real trainer process: the one that
//                SA_ORCH_TEST_TRAINER starts, by default torch's; conformance-tfjs and
//                conformance-toy are the same cases against these trainers
//   fidelity     the same numbers as the reference implementations, on real rows
//   durability   real processes that are killed
//   surroundings the real command in the places, with the files and habits that people have
//   replay       saved workflow histories against today's workflow code
const project = (displayName, setupFilesAfterEnv = [], folder = displayName) => ({
  displayName,
  rootDir: __dirname,
  roots: ['<rootDir>/test'],
  testMatch: [`<rootDir>/test/${folder}/**/*.test.ts`],
  testEnvironment: 'node',
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // These packages have ES modules only, which Jest loads as CommonJS. Of d3's packages, which come
  // with vega, it takes the builds for browsers.
  transformIgnorePatterns: [
    '/node_modules/(?!(fzstd|hyparquet|hyparquet-compressors|hysnappy|vega|vega-[a-z-]+)/)',
  ],
  testEnvironmentOptions: { customExportConditions: ['umd', 'node', 'node-addons'] },
  // In Node this package awaits an optional canvas while it loads, which CommonJS cannot; nothing
  // here draws on one.
  moduleNameMapper: {
    '^vega-canvas$': '<rootDir>/node_modules/vega-canvas/build/vega-canvas.browser.js',
  },
  setupFilesAfterEnv,
});

const processTests = ['<rootDir>/test/support/process-tests.ts'];

const conformance = (displayName, trainerUnderTest) => ({
  ...project(displayName, processTests, 'conformance'),
  globals: { trainerUnderTest },
  globalSetup: '<rootDir>/test/support/ask-capabilities.ts',
});

/** @type {import('jest').Config} */
module.exports = {
  // Two files at a time: the trainers under test have one thread each.
  maxWorkers: 2,
  // Unit tests that start programs, draw plots or tokenize take seconds on a machine under load.
  testTimeout: 60_000,
  projects: [
    project('unit'),
    conformance('conformance', 'default'),
    conformance('conformance-tfjs', 'tfjs'),
    conformance('conformance-toy', 'toy'),
    project('fidelity', processTests),
    project('durability', processTests),
    project('surroundings', processTests),
    project('replay', processTests),
  ],
};
