/** Reads a YAML file, with the place of each of its values. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Alias,
  type Document,
  type Node,
  type Pair,
  type YAMLError,
} from 'yaml';
import { ConfigError, type Problem } from '../base/errors';

export interface YamlFile {
  content: unknown;
  /** `file:line` of the value at a path, or of the nearest value that contains it. */
  locate(this: void, path: readonly PropertyKey[]): string;
}

/**
 * Reads a file with one document. Merge keys (`<<: *base`) are understood, also in lists of them;
 * a map's own keys come before merged ones.
 *
 * @throws ConfigError with file and line of everything that cannot be read
 */
export function readYaml(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const yaml = parseDocument(text, { lineCounter: lines, merge: true });
  const at = (offset: number) => `${file}:${lines.linePos(offset).line}`;
  const errors = [...yaml.errors, ...yaml.warnings];
  if (errors.length > 0) {
    throw new ConfigError(
      errors.map((error) => ({ where: at(error.pos[0]), message: describeError(error) })),
    );
  }
  return {
    content: readContent(yaml, at),
    locate: (path) => {
      const place = findPlace(yaml, path);
      return place === undefined ? file : at(place);
    },
  };
}

function describeError({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'begins a second document; a sweep file has only one';
  if (code === 'RESOURCE_EXHAUSTION') return 'is nested too deeply';
  const reason = message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
  return `is not valid YAML: ${reason}`;
}

/** The document's values. For some mistakes the library throws errors without a place. */
function readContent(yaml: Document, at: (offset: number) => string): unknown {
  const aliases: Alias[] = [];
  const problems: Problem[] = [];
  const refuse = (node: Node, message: string) => {
    problems.push({ where: at(node.range![0]), message });
  };
  visit(yaml, {
    Alias: (_, alias) => {
      aliases.push(alias);
      const anchored = alias.resolve(yaml);
      if (anchored !== undefined && anchored.range![2] <= alias.range![0]) return;
      const { source } = alias;
      refuse(alias, `*${source} has no complete value &${source} before it`);
    },
    Pair: (_, { key, value }) => {
      if (isMap(key) || isSeq(key)) {
        refuse(key, 'has a map or a list as a key; keys must be words');
      } else if (isMergeKey(key) && mergedMaps(yaml, value as Node | null) === null) {
        refuse(key as Node, '<<: must be a map, for example *base, or a list of maps');
      }
    },
  });
  if (problems.length > 0) throw new ConfigError(problems);
  try {
    return yaml.toJS() ?? {};
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const message =
      'aliases repeat values too often, more than 100 times; write the values out, or as lists';
    throw new ConfigError({ where: at(aliases.at(-1)!.range![0]), message });
  }
}

/** `<<`, unless it is in quotes. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.source === '<<' && (key.type ?? 'PLAIN') === 'PLAIN';
}

/**
 * The maps that a merge key names, in order of precedence; null if it names anything else. Aliases
 * without a value, which are a problem of their own, are left out.
 */
function mergedMaps(yaml: Document, value: Node | null): Node[] | null {
  const named = resolve(yaml, value);
  const maps = isSeq(named) ? named.items.map((item) => resolve(yaml, item as Node)) : [named];
  const there = maps.filter((map) => map !== undefined);
  return there.every(isMap) ? there : null;
}

function resolve(yaml: Document, node: Node | null | undefined): Node | null | undefined {
  return isAlias(node) ? node.resolve(yaml) : node;
}

/** Where the value at a path begins, or the nearest value that contains it. */
function findPlace(yaml: Document, path: readonly PropertyKey[]): number | undefined {
  let node: Node | null | undefined = yaml.contents;
  let place = node?.range?.[0];
  for (const key of path) {
    node = findChild(yaml, resolve(yaml, node), key);
    if (node === undefined) break;
    place = node?.range?.[0] ?? place;
  }
  return place;
}

function findChild(
  yaml: Document,
  parent: Node | null | undefined,
  key: PropertyKey,
): Node | null | undefined {
  if (isSeq(parent)) return parent.items[key as number] as Node | undefined;
  if (!isMap(parent)) return undefined;
  const pairs = parent.items as Pair<Node, Node | null>[];
  const own = pairs.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key));
  if (own !== undefined) return own.value;
  return pairs
    .filter((pair) => isMergeKey(pair.key))
    .flatMap((pair) => mergedMaps(yaml, pair.value) ?? [])
    .map((map) => findChild(yaml, map, key))
    .find((found) => found !== undefined);
}
