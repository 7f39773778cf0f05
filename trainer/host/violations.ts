/** What is wrong with a request, field by field, in words that all trainers share. */

/** A field's path in the request, what is wrong with it, and what would be right. */
export interface Violation {
  field: string;
  description: string;
}

/** Values by name, as in a generated enumeration. */
export type Enumeration = Readonly<Record<string, string | number>>;

const ESCAPED: Readonly<Record<string, string>> = { '\n': 'n', '\r': 'r', '\t': 't', '\\': '\\' };

/** In quotation marks, with control characters escaped as Python's repr does. */
export function quoted(text: string): string {
  const escape = (character: string): string =>
    ESCAPED[character] ?? `x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  // eslint-disable-next-line no-control-regex -- they are what this looks for
  return `'${text.replace(/[\x00-\x1f\x7f\\]/g, (character) => `\\${escape(character)}`)}'`;
}

export const nameIn = (enumeration: Enumeration, value: number): string =>
  String(enumeration[value] ?? value);

export class Violations {
  readonly all: Violation[] = [];

  add(field: string, description: string): void {
    this.all.push({ field, description });
  }

  require(holds: boolean, field: string, value: number, right: string): void {
    if (!holds) this.add(field, `${value} is not ${right}`);
  }

  atLeastOne(field: string, value: number): void {
    this.require(value >= 1, field, value, 'at least 1');
  }

  positive(field: string, value: number): void {
    this.require(Number.isFinite(value) && value > 0, field, value, 'a number above 0');
  }

  notNegative(field: string, value: number): void {
    this.require(Number.isFinite(value) && value >= 0, field, value, 'a number of at least 0');
  }

  fraction(field: string, value: number): void {
    this.require(value >= 0 && value < 1, field, value, 'in [0, 1)');
  }

  isOneOf(field: string, value: number, enumeration: Enumeration): void {
    const allowed = Object.keys(enumeration).filter((name) => Number(enumeration[name]) > 0);
    if (value === 0) this.add(field, `is not set; it is one of ${allowed.join(', ')}`);
    else if (!allowed.some((name) => enumeration[name] === value))
      this.add(field, `${value} is not one of ${allowed.join(', ')}`);
  }
}
