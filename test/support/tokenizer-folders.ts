/** Model directories as far as a tokenizer needs them. */
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** The normalizer of an uncased BERT, as tokenizer.json has it. */
export const LOWERCASING = {
  type: 'BertNormalizer',
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
};

/**
 * Writes a directory with these files, by name: objects as JSON.
 *
 * @param from another directory, of which everything but weights is copied first
 */
export function writeFolder(files: Record<string, string | object>, from?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-tokenizer-'));
  folders.push(folder);
  if (from !== undefined) {
    const small = readdirSync(from).filter((name) => /\.(json|txt)$/.test(name));
    for (const name of small) copyFileSync(join(from, name), join(folder, name));
  }
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/**
 * A unigram model of 600 pieces, learned by SentencePiece 0.2.3 from this project's docs and a few
 * sentences in other scripts, with replacements of some characters: ligatures, wide letters, white
 * space, a letter before its accent. Its pieces begin with `<pad>`, `</s>`, `<unk>` and `<sep>`,
 * which is a word of its own.
 */
export const TINY_PIECES = join(__dirname, 'tiny-spiece.model');

/** A directory with this model alone, as T5 and XLM-R are published. */
export function writePieces(model: 't5' | 'xlm-roberta'): string {
  const folder = writeFolder({ 'config.json': { model_type: model } });
  const name = { t5: 'spiece.model', 'xlm-roberta': 'sentencepiece.bpe.model' }[model];
  copyFileSync(TINY_PIECES, join(folder, name));
  return folder;
}
