import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import { preProcessFile } from 'typescript';
import { packageRoot } from '../../../common/package';

const FOLDERS = ['common', 'gen/ts', 'orchestrator', 'test', 'trainer', 'workflows'];

/** Every TypeScript file of the project, from the root. */
function listFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
      .map((name) => posix.join(folder, name.split(sep).join('/')))
      .filter((path) => path.endsWith('.ts') && !path.includes('/node_modules/')),
  );
}

/** The project's files that a file imports, types included. Paths are from the root. */
function listImports(file: string, files: ReadonlySet<string>): string[] {
  const { importedFiles } = preProcessFile(readFileSync(join(packageRoot(), file), 'utf8'));
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(file), fileName))
    .flatMap((path) => [path, `${path}.ts`, `${path}/index.ts`].filter((each) => files.has(each)));
}

/** One circle, from a file back to it; undefined where there is none. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

test('no file imports itself by way of others, not even for types', () => {
  const files = new Set(listFiles());
  expect(files.size).toBeGreaterThan(200);
  const graph = new Map([...files].map((file) => [file, listImports(file, files)]));
  expect(findCircle(graph)).toBeUndefined();
});

test('a circle is told from its first file back to it', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', []],
    ['d', ['b']],
  ]);
  expect(findCircle(graph)).toEqual(['b', 'd', 'b']);
});
