/**
 * The content of tokenizer.json with which the library gives the tokens of Transformers'
 * `AutoTokenizer`. If Transformers knows the tokenizer's class, it takes only the vocabulary from a
 * directory's tokenizer.json: how texts are split then follows from the class and from
 * tokenizer_config.json, even where tokenizer.json says otherwise.
 */
import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { TOKENIZER_CLASSES, type TokenizerClass, type TokenName } from './classes';
import {
  completeToken,
  contentOf,
  NAMED_TOKENS,
  readJson,
  readSettings,
  type AddedToken,
  type Settings,
} from './settings';
import {
  indexTokens,
  typeOf,
  vocabularyOf,
  type Vocabulary,
  type VocabularyFile,
} from './vocabulary';

/** The parts of tokenizer.json that are used here. */
export interface Definition extends VocabularyFile {
  added_tokens: (AddedToken & { id: number })[];
  /** How texts that are too long are cut; the library itself is not told to do so. */
  truncation?: { direction?: string } | null;
  [part: string]: unknown;
}

export interface TokenizerDirectory {
  path: string;
  settings: Settings;
  /** Its tokenizer.json; null if it has none. */
  file: Definition | null;
  /** What says how texts are split; null if tokenizer.json itself does. */
  known: TokenizerClass | null;
}

/** @throws ConfigError that names the directory or the file that is missing or broken */
export function readTokenizerDirectory(path: string): TokenizerDirectory {
  const name = join(path, 'tokenizer.json');
  const file = readJson(name) as Definition | null;
  if (file !== null && typeof file.model?.vocab !== 'object')
    throw new ConfigError({ where: name, message: 'has no model with a vocabulary' });
  const settings = readSettings(path);
  const known = TOKENIZER_CLASSES[settings.tokenizerClass ?? ''] ?? null;
  if (file === null && known === null) throw refuseClass(path, settings.tokenizerClass);
  // The file itself counts if its class is not known here, and if it is not of its class.
  const counts = file !== null && typeOf(file) !== known?.model;
  return { path, settings, file, known: counts ? null : known };
}

/** @throws ConfigError that names what the vocabulary lacks */
export function defineTokenizer(directory: TokenizerDirectory): Definition {
  const { path, settings, file, known } = directory;
  const unlimited = { truncation: null, padding: null };
  if (known === null) {
    const added_tokens = listAddedTokens(vocabularyOf(file!), directory);
    return { ...file!, ...unlimited, added_tokens };
  }
  const named = (name: TokenName) => contentOf(settings.values[name]) ?? known.named[name]!;
  const vocabulary =
    file === null ? known.readVocabulary(path, settings.values, named) : vocabularyOf(file);
  const ids = indexTokens(vocabulary.tokens);
  const id = (token: string) => {
    const found = ids.get(token) ?? file?.added_tokens.find(({ content }) => content === token)?.id;
    if (found !== undefined) return found;
    throw new ConfigError({
      where: path,
      message: `its vocabulary has no ${token}; must be a vocabulary of ${settings.tokenizerClass}`,
    });
  };
  return {
    version: '1.0',
    ...unlimited,
    added_tokens: listAddedTokens(vocabulary, directory),
    normalizer: known.normalize(settings.values, vocabulary),
    ...known.build(vocabulary, settings.values, { named, id }),
  };
}

/** Whether a text that is too long loses its beginning. The settings count more than the file. */
export function cutsBeginning({ settings, file }: TokenizerDirectory): boolean {
  const side = settings.values.truncation_side;
  return side === undefined ? file?.truncation?.direction === 'Left' : side === 'left';
}

/** The added tokens in the order in which Transformers adds them, which decides on new ids. */
function listAddedTokens(
  { tokens, added: ofVocabulary }: Vocabulary,
  { settings: { values, added }, file, known }: TokenizerDirectory,
): Definition['added_tokens'] {
  const ofFile = file?.added_tokens ?? [];
  const named = NAMED_TOKENS.map((name) => values[name] ?? known?.named[name]);
  const others = Object.entries(values)
    .filter(([name]) => name.endsWith('_token') && !named.includes(name as TokenName))
    .map(([, token]) => token);
  const listed: unknown = values.extra_special_tokens ?? values.additional_special_tokens;
  const extra = Array.isArray(listed)
    ? (listed as unknown[])
    : [...ofVocabulary, ...(known?.makeExtra(values) ?? [])];
  const special = [...named, ...others, ...extra].filter((token) => contentOf(token));
  const all = new Map<string, AddedToken>();
  for (const token of [...ofFile, ...added]) all.set(token.content, token);
  for (const token of special.map((each) => completeToken(each as string)))
    if (!all.has(token.content)) all.set(token.content, token);
  const ids = indexTokens(tokens);
  let next = ids.size;
  return [...all.values()].map((token) => ({ ...token, id: ids.get(token.content) ?? next++ }));
}

function refuseClass(where: string, tokenizerClass: string | null): ConfigError {
  const known = Object.keys(TOKENIZER_CLASSES).join(', ');
  const message =
    tokenizerClass === null
      ? 'has no tokenizer.json, and no tokenizer_class or model_type that says what to read instead'
      : `has no tokenizer.json, which tokenizer_class ${tokenizerClass} needs; without it only ` +
        `these can be read: ${known}`;
  return new ConfigError({ where, message });
}
