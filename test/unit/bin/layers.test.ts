import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Linter, type Rule } from 'eslint';
import { parser } from 'typescript-eslint';
import { packageRoot } from '../../../common/package';

interface Layer {
  holds: string;
  imports: string[] | '*';
  types?: string[] | '*';
}

/* eslint-disable @typescript-eslint/no-require-imports -- eslint's own settings are CommonJS */
const { ANY, LAYERS } = require('../../../layers.js') as {
  ANY: '*';
  LAYERS: Record<string, Layer>;
};
const { layersRule } = require('../../../bin/layers-rule.js') as { layersRule: Rule.RuleModule };
const { renderLayers } = require('../../../bin/layers-table.js') as { renderLayers: () => string };
/* eslint-enable @typescript-eslint/no-require-imports */

const rows = Object.keys(LAYERS);
const toList = (names: string[] | '*' = []) => (names === ANY ? [] : names);

describe('the table of layers', () => {
  test('has a row for what is there, and only for that', () => {
    const missing = rows.filter(
      (row) => !existsSync(join(packageRoot(), row.replace(/\/\*\*$/, ''))),
    );
    expect(missing).toEqual([]);
  });

  test('is the one in docs/ (else: node bin/layers-table.js)', () => {
    const folder = join(packageRoot(), 'docs');
    const pages = readdirSync(folder).filter((name) => name.endsWith('.md'));
    const lines = pages.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
    expect(lines).toEqual(expect.arrayContaining(renderLayers().split('\n')));
  });

  test('names rows alone', () => {
    const named = Object.values(LAYERS).flatMap(({ imports, types }) => [
      ...toList(imports),
      ...toList(types),
    ]);
    expect(named.filter((row) => !rows.includes(row) && !row.endsWith('.ts'))).toEqual([]);
  });

  test('has each row import from rows before it', () => {
    const upwards = rows.flatMap((row, place) =>
      toList(LAYERS[row]!.imports)
        .filter((target) => rows.indexOf(target) > place)
        .map((target) => `${row} -> ${target}`),
    );
    // The settings of the tools are read by the tools in bin/, and name them.
    expect(upwards).toEqual(['. -> bin']);
  });
});

describe('eslint', () => {
  const lint = (file: string, code: string) =>
    new Linter()
      .verify(
        code,
        [
          {
            files: ['**/*.{ts,js}'],
            languageOptions: { parser },
            plugins: { layers: { rules: { imports: layersRule } } },
            rules: { 'layers/imports': 'error' },
          },
        ],
        { filename: join(packageRoot(), file) },
      )
      .map(({ message }) => message);

  test.each([
    ['orchestrator/runtime/up.ts', "import { x } from '../base/errors';"],
    ['orchestrator/runtime/up.ts', "import { x } from './paths';"],
    ['orchestrator/runtime/up.ts', "import type { Plan } from '../sweep/types';"],
    ['orchestrator/sweep/plan.ts', "import { digestValue } from './identity';"],
    ['orchestrator/sweep/identity.ts', "import { createHash } from 'node:crypto';"],
    ['workflows/sweep.ts', "import { proxyActivities } from '@temporalio/workflow';"],
    ['workflows/sweep.ts', "import type { Activities } from './activities';"],
    ['trainer/tfjs/main.ts', "import { serve } from '../host/host';"],
    ['test/unit/store/x.test.ts', "import { x } from '../../../orchestrator/store/sweep-store';"],
  ])('lets %s have %s', (file, code) => {
    expect(lint(file, code)).toEqual([]);
  });

  test.each([
    ['orchestrator/runtime/up.ts', "import { x } from '../cli/output';", 'orchestrator/cli'],
    ['orchestrator/runtime/up.ts', "export * from '../cli/output';", 'orchestrator/cli'],
    ['orchestrator/runtime/up.ts', "void import('../cli/output');", 'orchestrator/cli'],
    ['orchestrator/runtime/up.ts', "require('../cli/output');", 'orchestrator/cli'],
    ['orchestrator/runtime/up.ts', "type A = import('../cli/output').A;", 'orchestrator/cli'],
    ['common/files.ts', "import { x } from '../orchestrator/base/errors';", 'orchestrator/base'],
    ['trainer/tfjs/main.ts', "import { x } from '../../workflows/sweep';", 'workflows'],
    ['test/support/x.ts', "import { x } from '../unit/support/plans';", 'test/**'],
  ])('keeps %s from %s', (file, code, target) => {
    expect(lint(file, code)).toEqual([expect.stringContaining(`may not import ${target}:`)]);
  });

  test.each([
    ['orchestrator/runtime/up.ts', '../sweep/plan', 'orchestrator/sweep'],
    ['workflows/sweep.ts', './activities', 'workflows/activities'],
  ])('lets %s have types of %s alone', (file, specifier, target) => {
    expect(lint(file, `import type { x } from '${specifier}';`)).toEqual([]);
    expect(lint(file, `import { type x } from '${specifier}';`)).toEqual([]);
    expect(lint(file, `import { type x, y } from '${specifier}';`)).toEqual([
      expect.stringContaining(`may import types of ${target} only`),
    ]);
  });

  test.each([
    ['workflows/sweep.ts', 'node:fs'],
    ['orchestrator/sweep/plan.ts', 'node:crypto'],
    ['orchestrator/cli/run.ts', '@grpc/grpc-js'],
  ])('keeps %s from the package %s', (file, name) => {
    const objections = lint(file, `import { x } from '${name}';`);
    expect(objections).toEqual([expect.stringContaining(`may not import the package ${name}`)]);
  });

  test('reports a folder that the table does not name', () => {
    expect(lint('orchestrator/new/x.ts', '')).toEqual([
      'orchestrator/new is not in layers.js: add what it may import',
    ]);
  });
});
