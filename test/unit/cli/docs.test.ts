/** What the docs show is what the command line takes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package';
import { listCommands, parseWords } from '../support/parse-words';
import { load } from '../support/sweep-file';

const DOCS = [
  'README.md',
  ...readdirSync(join(packageRoot(), 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
const read = (doc: string): string => readFileSync(join(packageRoot(), doc), 'utf8');
const listBlocks = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, each, block]) =>
    each === language ? [block!] : [],
  );

/** With a value for whatever a reader fills in. */
const fillIn = (command: string): string =>
  command.replaceAll(/<[^>]+>/g, 'x').replace('$rate', '1e-3');

test.each(DOCS)('every command of %s is one, with its options', async (doc) => {
  const commands = listBlocks(read(doc), 'sh').flatMap((block) => listCommands(fillIn(block)));
  for (const words of commands)
    await expect(parseWords(words).then(() => words)).resolves.toBe(words);
});

test('there are commands to look at', () => {
  const all = DOCS.flatMap((doc) => listBlocks(read(doc), 'sh').flatMap(listCommands));
  expect(all.length).toBeGreaterThan(40);
  expect(all).toContainEqual(['start', '--sweep', 'glue', '--trainer', 'gpu-box:7400']);
});

test('each sweep file of the README is one', () => {
  const files = listBlocks(read('README.md'), 'yaml');
  expect(files.length).toBeGreaterThan(3);
  for (const yaml of files) expect(load(yaml).tasks.length).toBeGreaterThan(0);
});
