/** Every link of the docs leads to a file, and to a heading where it names one. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const ROOT = join(__dirname, '../../..');
const DOCS = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

describe.each(DOCS)('%s', (doc) => {
  const targets = listLinks(readFileSync(join(ROOT, doc), 'utf8'));

  test('links to files and headings that exist', () => {
    const broken = targets.filter((target) => {
      const [path, heading] = target.split('#', 2);
      const file = path === '' ? doc : normalize(join(dirname(doc), path!));
      if (!existsSync(join(ROOT, file))) return true;
      return heading !== undefined && !listHeadings(file).includes(heading);
    });
    expect(broken).toEqual([]);
  });
});

/** Targets of links and pictures, without those on other sites. */
function listLinks(markdown: string): string[] {
  const targets = [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The names by which GitHub links to a file's headings. */
function listHeadings(file: string): string[] {
  const markdown = withoutCode(readFileSync(join(ROOT, file), 'utf8'));
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '');
}
