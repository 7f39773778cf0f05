/**
 * Reads SQuAD's official JSON: v1.1 (Rajpurkar 2016) and v2.0 (Rajpurkar 2018), which adds
 * questions without an answer.
 */
import { ConfigError, type Problem } from '../../base/errors';
import { readJson } from '../../tables/json';
import { limitProblems, show } from '../../tables/problem-list';

export type SquadTask = 'squad' | 'squad_v2';
/** `unanswered`: a file's answers, if it has any, are not read. */
export type SquadReading = SquadTask | 'unanswered';

export interface SquadAnswer {
  text: string;
  /**
   * Where it begins in the context, in JavaScript's UTF-16 units; the files count code points.
   */
  start: number;
}

export interface SquadExample {
  id: string;
  question: string;
  context: string;
  /** Those of several annotators, in the file's order; none if there is no answer (v2.0). */
  answers: SquadAnswer[];
}

/**
 * Reads a file of questions.
 *
 * @param task `squad` requires an answer to every question; `squad_v2` accepts both versions;
 *   `unanswered` requires none
 * @throws ConfigError with file and place (`data[3].paragraphs[2].qas[1]`) of every problem, at
 *   most 20
 */
export function readSquad(path: string, task: SquadReading): SquadExample[] {
  return readSquadDocument(path, readJson(path), task);
}

/**
 * Reads the questions of a document in SQuAD's format, see readSquad. `path` is its source, for
 * messages.
 */
export function readSquadDocument(
  path: string,
  document: unknown,
  task: SquadReading,
): SquadExample[] {
  const problems: Problem[] = [];
  const reader = new Reader(path, task, problems);
  const examples = reader.read(document);
  if (problems.length > 0) {
    throw new ConfigError(limitProblems(path, problems, 'problems'));
  }
  if (examples.length === 0) {
    throw new ConfigError({ where: path, message: 'has no questions; must have at least one' });
  }
  return examples;
}

type JsonObject = Record<string, unknown>;

class Reader {
  /** Where each id was first seen. */
  private readonly places = new Map<string, string>();

  constructor(
    private readonly path: string,
    private readonly task: SquadReading,
    private readonly problems: Problem[],
  ) {}

  read(document: unknown): SquadExample[] {
    if (!isObject(document) || !Array.isArray(document.data)) {
      const message =
        'is not in SQuAD\'s format; must be {"version", "data": [{"title", "paragraphs": ' +
        '[{"context", "qas"}]}]}';
      throw new ConfigError({ where: this.path, message });
    }
    return this.objects(document, 'data', '').flatMap(([article, inData]) =>
      this.objects(article, 'paragraphs', inData).flatMap(([paragraph, inParagraphs]) =>
        this.paragraph(paragraph, inParagraphs),
      ),
    );
  }

  private paragraph(paragraph: JsonObject, place: string): SquadExample[] {
    const context = this.text(paragraph, 'context', place);
    const questions = this.objects(paragraph, 'qas', place);
    if (context === null) return [];
    const atCodePoint = codePoints(context);
    return questions.flatMap(([qa, inQas]): SquadExample[] => {
      const id = this.id(qa, inQas);
      const question = this.text(qa, 'question', inQas);
      if (id !== null) this.checkId(id, inQas);
      const answers =
        this.task === 'unanswered' ? [] : this.answers(qa, inQas, context, atCodePoint);
      return id === null || question === null ? [] : [{ id, question, context, answers }];
    });
  }

  private answers(
    qa: JsonObject,
    place: string,
    context: string,
    atCodePoint: (index: number) => number,
  ): SquadAnswer[] {
    const answers = this.objects(qa, 'answers', place).flatMap(
      ([answer, at]) => this.answer(answer, at, context, atCodePoint) ?? [],
    );
    this.checkAnswered(qa, place);
    return answers;
  }

  private checkId(id: string, place: string): void {
    const first = this.places.get(id);
    if (first === undefined) this.places.set(id, place);
    else
      this.problem(
        place,
        `has the same id ${JSON.stringify(id)} as ${first}; every question must have its own`,
      );
  }

  private checkAnswered(qa: JsonObject, place: string): void {
    const { is_impossible: impossible = false, answers } = qa;
    if (!Array.isArray(answers)) return;
    if (typeof impossible !== 'boolean') {
      this.problem(`${place}.is_impossible`, `is ${show(impossible)}; must be true or false`);
    } else if (impossible && this.task === 'squad') {
      this.problem(
        place,
        'is_impossible is true, which v1.1 does not have; use the task squad_v2 for this file',
      );
    } else if (impossible && answers.length > 0) {
      this.problem(
        place,
        `is_impossible is true, but the number of answers is ${answers.length}; must be 0`,
      );
    } else if (!impossible && answers.length === 0) {
      const without = this.task === 'squad_v2' ? ', or "is_impossible": true' : '';
      this.problem(place, `has no answer; must have at least one${without}`);
    }
  }

  private answer(
    answer: JsonObject,
    place: string,
    context: string,
    atCodePoint: (index: number) => number,
  ): SquadAnswer | null {
    const text = this.text(answer, 'text', place);
    const at = answer.answer_start;
    if (typeof at !== 'number' || !Number.isInteger(at) || at < 0) {
      const expected =
        "must be the place of the answer's first character in the context, counted from 0";
      this.problem(`${place}.answer_start`, `is ${show(at)}; ${expected}`);
      return null;
    }
    if (text === null) return null;
    const found = findAnswerAt(text, at, context, { key: 'answer_start', atCodePoint });
    if (typeof found !== 'string') return found;
    this.problem(place, found);
    return null;
  }

  /** The objects of a list, each with its place; anything else in the list is a problem. */
  private objects(parent: JsonObject, key: string, place: string): [JsonObject, string][] {
    const list = parent[key];
    const at = place === '' ? key : `${place}.${key}`;
    if (!Array.isArray(list)) {
      this.problem(at, `${list === undefined ? 'is missing' : `is ${show(list)}`}; must be a list`);
      return [];
    }
    return list.flatMap((each: unknown, i): [JsonObject, string][] => {
      if (isObject(each)) return [[each, `${at}[${i}]`]];
      this.problem(`${at}[${i}]`, `is ${show(each)}; must be an object`);
      return [];
    });
  }

  /** A question's id as text; files of other languages also have whole numbers. */
  private id(qa: JsonObject, place: string): string | null {
    const { id } = qa;
    const isWhole = typeof id === 'bigint' || Number.isSafeInteger(id);
    return isWhole ? String(id) : this.text(qa, 'id', place);
  }

  /** The text of a key; null, and a problem, if there is none. */
  private text(parent: JsonObject, key: string, place: string): string | null {
    const value = parent[key];
    if (typeof value === 'string' && value.trim() !== '') return value;
    const what =
      value === undefined
        ? 'is missing'
        : typeof value === 'string'
          ? 'is empty'
          : `is ${show(value)}`;
    this.problem(`${place}.${key}`, `${what}; must be text`);
    return null;
  }

  private problem(place: string, message: string): void {
    this.problems.push({ where: `${this.path}: ${place}`, message });
  }
}

/**
 * Finds an answer at its place in the context, in code points. If other text is there, returns a
 * message that says so.
 *
 * @param options.key what the place is called, for the message
 */
export function findAnswerAt(
  text: string,
  at: number,
  context: string,
  {
    key,
    atCodePoint = codePoints(context),
  }: { key: string; atCodePoint?: (index: number) => number },
): SquadAnswer | string {
  const start = atCodePoint(at);
  if (context.startsWith(text, start)) return { text, start };
  const found = context.slice(start, start + text.length);
  return (
    `${show(text)} is not in the context at ${key} ${at}, where ${show(found)} is; ` +
    namePlaces(text, context)
  );
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Says where the answer's text occurs, in code points. */
function namePlaces(text: string, context: string): string {
  const at = context.indexOf(text);
  return at === -1
    ? 'the context does not contain it'
    : `it first begins at ${[...context.slice(0, at)].length}`;
}

/**
 * Returns a function from the place of a code point to that of its first UTF-16 unit, which is the
 * context's length for places beyond its end.
 */
function codePoints(context: string): (index: number) => number {
  if (!/[\u{10000}-\u{10ffff}]/u.test(context)) return (index) => index;
  const starts: number[] = [];
  for (let unit = 0; unit < context.length; unit += context.codePointAt(unit)! > 0xffff ? 2 : 1)
    starts.push(unit);
  return (index) => starts[index] ?? context.length;
}
