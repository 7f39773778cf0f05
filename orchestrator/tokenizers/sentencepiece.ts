/**
 * Reads a model file of SentencePiece (spiece.model), a message of protobuf whose fields are those
 * of ModelProto in sentencepiece_model.proto. Only the few that a tokenizer needs are read.
 */
import { ConfigError } from '../base/errors';

export interface SentencePieceModel {
  /** In the order of their ids. */
  pieces: Piece[];
  /** The table of characters and what stands for them; null if it has none. */
  charsmap: Buffer | null;
}

interface Piece {
  text: string;
  score: number;
  /** Whether it stands for no text, such as `</s>`. */
  isControl: boolean;
  /** Whether it is found in a text before the text is split. */
  isUserDefined: boolean;
}

/** Numbers of fields. */
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 };
const PIECE = { text: 1, score: 2, type: 3 };
const TRAINER = { modelType: 3 };
const NORMALIZER = { charsmap: 2 };
/** Values of enums. */
const [CONTROL, USER_DEFINED] = [3, 4];
const UNIGRAM = 1;

/** @throws ConfigError that names the file if it is not such a model, or not a unigram one */
export function parseSentencePiece(where: string, content: Buffer): SentencePieceModel {
  const model: SentencePieceModel = { pieces: [], charsmap: null };
  let modelType: unknown = UNIGRAM;
  try {
    for (const [field, value] of readFields(content)) {
      if (field === MODEL.pieces) model.pieces.push(readPiece(value as Buffer));
      const inner = new Map(
        field === MODEL.trainer || field === MODEL.normalizer ? readFields(value as Buffer) : [],
      );
      if (field === MODEL.trainer) modelType = inner.get(TRAINER.modelType) ?? UNIGRAM;
      if (field === MODEL.normalizer) {
        const charsmap = inner.get(NORMALIZER.charsmap) as Buffer | undefined;
        model.charsmap = charsmap?.length ? charsmap : null;
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    model.pieces = [];
  }
  if (model.pieces.length === 0 || modelType !== UNIGRAM) {
    throw new ConfigError({ where, message: 'must be a unigram model of SentencePiece' });
  }
  return model;
}

function readPiece(content: Buffer): Piece {
  const fields = new Map(readFields(content));
  const type = fields.get(PIECE.type);
  return {
    text: (fields.get(PIECE.text) as Buffer).toString('utf8'),
    score: (fields.get(PIECE.score) as Buffer | undefined)?.readFloatLE() ?? 0,
    isControl: type === CONTROL,
    isUserDefined: type === USER_DEFINED,
  };
}

/** The number and the value of each field: a number, or the bytes of anything else. */
function* readFields(content: Buffer): Generator<[field: number, value: number | Buffer]> {
  let at = 0;
  const readNumber = () => {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = content.readUInt8(at++);
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => {
    if (at + length > content.length) throw new RangeError('a field ends after the file');
    return content.subarray(at, (at += length));
  };
  while (at < content.length) {
    const tag = readNumber();
    const [field, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === 0) yield [field, readNumber()];
    else if (kind === 1) yield [field, take(8)];
    else if (kind === 2) yield [field, take(readNumber())];
    else if (kind === 5) yield [field, take(4)];
    else throw new RangeError(`kind ${kind} of field`);
  }
}
