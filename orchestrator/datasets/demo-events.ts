/**
 * Building blocks of demo rows: small events from word lists, equal on every machine, with a
 * structure that a few hundred rows can teach. They are not published rows, and results on them
 * mean nothing; reports say so in their first line.
 */
import { seededRandom } from '../base/seeded-random';
import { digestValue } from '../sweep/identity';

const TRAIN_ROWS = 600;
const VALIDATION_ROWS = 200;
/** The fraction of deliberately wrong labels: a table of perfect scores would show nothing. */
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

/** The number of events in a context, one per sentence. */
export const EVENTS_OF_A_CONTEXT = 3;

/**
 * Draws the events of a context. No two share a person, an act or a thing, so that each question
 * has only one answer.
 */
export function drawDifferentEvents(draw: Draw): Event[] {
  const events: Event[] = [];
  while (events.length < EVENTS_OF_A_CONTEXT) events.push(drawOther(events, draw));
  return events;
}

/** Draws an event that shares no person, act or thing with these. */
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

/** The random generator for a split's rows, and a function that picks an item with it. */
export function openDrawing(task: string, split: string): { random: () => number; draw: Draw } {
  const random = seededRandom(Number.parseInt(digestValue([task, split]).slice(0, 8), 16));
  return { random, draw: (from) => from[Math.floor(random() * from.length)]! };
}

/** The number of rows of a split. */
export function countDemoRows(split: string): number {
  return split === 'train' ? TRAIN_ROWS : VALIDATION_ROWS;
}
