/**
 * What demo rows are made from: small events out of word lists, equal on every machine, with a
 * structure that a few hundred rows can teach. They are nobody's published rows and results on them
 * say nothing; reports say so on their first line.
 */
import { seededRandom } from '../base/seeded-random';
import { digestValue } from '../sweep/identity';

const TRAIN_ROWS = 600;
const VALIDATION_ROWS = 200;
/** So many labels are wrong on purpose: a table of perfect scores would show nothing. */
export const WRONG_LABELS = 0.06;

export const PEOPLE = [
  'Anna',
  'the teacher',
  'Mr. Lopez',
  'the pilot',
  'a young farmer',
  'Doctor Chen',
  'the mayor',
  'our neighbour',
  'Ivan',
];
const ACTS = [
  ['bought', 'purchased', 'buy'],
  ['repaired', 'fixed', 'repair'],
  ['hid', 'concealed', 'hide'],
  ['found', 'discovered', 'find'],
  ['painted', 'coloured', 'paint'],
] as const;
const THINGS = [
  'a red bicycle',
  'the old piano',
  'three letters',
  'a wooden boat',
  'the kitchen clock',
  'two maps',
  'a green coat',
];
const PLACES = [
  'in Vienna',
  'near the harbour',
  'at the school',
  'behind the church',
  'in a small village',
  'on the island',
];
const DAYS = ['on Monday', 'last winter', 'in April', 'after lunch', 'two years ago'];
export type Draw = <T>(from: readonly T[]) => T;

/** A small event: who did what to which thing, where and when. */
export interface Event {
  who: string;
  act: (typeof ACTS)[number];
  thing: string;
  place: string;
  day: string;
}
export const PARTS = ['who', 'act', 'thing', 'place', 'day'] as const;

export function drawEvent(draw: Draw): Event {
  return {
    who: draw(PEOPLE),
    act: draw(ACTS),
    thing: draw(THINGS),
    place: draw(PLACES),
    day: draw(DAYS),
  };
}

export function writeSentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export const tellPlainly = ({ who, act, thing, place, day }: Event) =>
  writeSentence(`${who} ${act[0]} ${thing} ${place} ${day}`);
export const paraphrase = ({ who, act, thing, place, day }: Event) =>
  writeSentence(`${day}, ${place}, ${who} ${act[1]} ${thing}`);

/** Events of a context, in sentences. */
export const EVENTS_OF_A_CONTEXT = 3;

/**
 * Of a context: no two have a person, an act or a thing in common, so that each question has one
 * answer.
 */
export function drawDifferentEvents(draw: Draw): Event[] {
  const events: Event[] = [];
  while (events.length < EVENTS_OF_A_CONTEXT) events.push(drawOther(events, draw));
  return events;
}

/** One that has neither a person nor an act nor a thing of these. */
export function drawOther(events: readonly Event[], draw: Draw): Event {
  for (;;) {
    const next = drawEvent(draw);
    if (
      events.every(
        ({ who, act, thing }) => who !== next.who && act !== next.act && thing !== next.thing,
      )
    )
      return next;
  }
}

/** The generator of a split's rows, and a choice by it. */
export function openDrawing(task: string, split: string): { random: () => number; draw: Draw } {
  const random = seededRandom(Number.parseInt(digestValue([task, split]).slice(0, 8), 16));
  return { random, draw: (from) => from[Math.floor(random() * from.length)]! };
}

/** How many rows a split has. */
export function countDemoRows(split: string): number {
  return split === 'train' ? TRAIN_ROWS : VALIDATION_ROWS;
}
