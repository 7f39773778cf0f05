/** What is added to a sweep, as users write and read it. */
import { Document } from 'yaml';
import { ConfigError } from '../base/errors';
import type { Extension } from '../sweep/types';
import { readYaml } from './read-yaml';
import { isMap } from './schema-parts';

/**
 * The lines of `{ pruner: snip, sparsity: 0.6 }`, or of a list of such.
 *
 * @param where the option that has the text
 * @throws ConfigError if it is something else
 */
export function readCompareLines(text: string, where: string): object[] {
  const { content } = readYaml(where, text);
  const lines = Array.isArray(content) ? (content as unknown[]) : [content];
  if (lines.length > 0 && lines.every((line) => isMap(line) && Object.keys(line).length > 0))
    return lines as object[];
  throw new ConfigError({
    where,
    message: 'must be a line of compare, for example { pruner: snip, sparsity: 0.6 }',
  });
}

/** A line of compare as YAML in one line. */
export function writeCompareLine(line: object): string {
  const document = new Document(line);
  (document.contents as { flow?: boolean }).flow = true;
  return document.toString({ lineWidth: 0 }).trim();
}

/** `seeds 6, 7; { pruner: snip, sparsity: 0.6 }`. */
export function describeExtensions(extensions: readonly Extension[]): string {
  const seeds = extensions.flatMap((extension) => extension.seeds ?? []);
  const lines = extensions.flatMap(({ compare = [] }) => compare.map(writeCompareLine));
  const ofSeeds = seeds.length === 0 ? [] : [`seeds ${seeds.join(', ')}`];
  const ofRungs = extensions.some(({ rungs }) => rungs === 'off') ? ['rungs off'] : [];
  return [...ofSeeds, ...lines, ...ofRungs].join('; ');
}
