/**
 * Small rows for a first run with no data and no network: made from word lists, equal on every
 * machine, with a structure that a few hundred rows can teach. They are no GLUE rows and results on
 * them say nothing about GLUE; reports say so on their first line.
 */
import { digestOf } from '../../sweep/identity';
import type { GlueTask, GlueTaskName } from './published';
import { seededRandom, type Row } from '../../datasets/choose-rows';

export const TRAIN_ROWS = 600;
export const VALIDATION_ROWS = 200;
/** So many labels are wrong on purpose: a table of perfect scores would show nothing. */
export const WRONG_LABELS = 0.06;

const PEOPLE = [
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
const FILMS = ['film', 'story', 'play', 'novel', 'performance', 'script'];
const GOOD = ['charming', 'brilliant', 'moving', 'funny', 'delightful', 'clever', 'superb', 'warm'];
const BAD = ['dull', 'clumsy', 'tedious', 'awful', 'empty', 'lazy', 'annoying', 'cold'];
const FITS = [
  ['trophy', 'suitcase'],
  ['sofa', 'lift'],
  ['ball', 'box'],
  ['painting', 'frame'],
  ['key', 'lock'],
] as const;

export type Draw = <T>(from: readonly T[]) => T;
type Pair = [text: string, pair: string | null];

/** A small event: who did what to which thing, where and when. */
export interface Event {
  who: string;
  act: (typeof ACTS)[number];
  thing: string;
  place: string;
  day: string;
}
const PARTS = ['who', 'act', 'thing', 'place', 'day'] as const;

export function event(draw: Draw): Event {
  return {
    who: draw(PEOPLE),
    act: draw(ACTS),
    thing: draw(THINGS),
    place: draw(PLACES),
    day: draw(DAYS),
  };
}

/** The same event with some parts drawn anew, each different from before. */
function change(from: Event, parts: readonly (typeof PARTS)[number][], draw: Draw): Event {
  let other = event(draw);
  while (parts.some((part) => other[part] === from[part])) {
    other = event(draw);
  }
  return { ...from, ...Object.fromEntries(parts.map((part) => [part, other[part]])) };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export const plain = ({ who, act, thing, place, day }: Event) =>
  sentence(`${who} ${act[0]} ${thing} ${place} ${day}`);
export const paraphrase = ({ who, act, thing, place, day }: Event) =>
  sentence(`${day}, ${place}, ${who} ${act[1]} ${thing}`);

function shuffled(words: readonly string[], draw: Draw): string[] {
  const left = [...words];
  return words.map(() => left.splice(left.indexOf(draw(left)), 1)[0]!);
}

/** How a row of each task is made for a label; regression: for a score. */
const MAKERS: Record<GlueTaskName, (label: number, draw: Draw) => Pair> = {
  cola: (label, draw) => {
    const { who, act, thing, place } = event(draw);
    const words = `${who} ${act[0]} ${thing} ${place}`.split(' ');
    return [sentence((label === 1 ? words : shuffled(words, draw)).join(' ')), null];
  },
  sst2: (label, draw) => {
    const [word, opposite] = label === 1 ? [GOOD, BAD] : [BAD, GOOD];
    const verdict = draw([
      `a ${draw(word)} and ${draw(word)} ${draw(FILMS)}`,
      `never ${draw(opposite)} , always ${draw(word)}`,
    ]);
    return [`${verdict} by ${draw(PEOPLE)} .`, null];
  },
  mrpc: pairOfEvents,
  qqp: (label, draw) => {
    const ask = ({ who, act, thing, day }: Event) => `Where did ${who} ${act[2]} ${thing} ${day}?`;
    const first = event(draw);
    const second =
      label === 1 ? first : change(first, [draw(['who', 'thing', 'act'] as const)], draw);
    return [
      ask(first),
      label === 1
        ? `In which place was it that ${second.who} ${second.act[1]} ${second.thing} ${second.day}?`
        : ask(second),
    ];
  },
  stsb: (score, draw) => {
    const first = event(draw);
    const changed = shuffled(PARTS, draw).slice(0, 5 - score) as (typeof PARTS)[number][];
    return [plain(first), plain(change(first, changed, draw))];
  },
  mnli: (label, draw) => {
    const first = event(draw);
    if (label === 0) return [plain(first), sentence(`${first.who} ${first.act[1]} ${first.thing}`)];
    if (label === 1)
      return [
        plain(first),
        sentence(`${first.who} ${first.act[0]} ${first.thing} because of ${draw(PEOPLE)}`),
      ];
    return [plain(first), sentence(`nobody ${first.act[1]} ${first.thing}`)];
  },
  qnli: (label, draw) => {
    const asked = event(draw);
    const told = label === 0 ? asked : change(asked, ['who', 'thing', 'act'], draw);
    return [`Where did ${asked.who} ${asked.act[2]} ${asked.thing}?`, plain(told)];
  },
  rte: (label, draw) => {
    const first = event(draw);
    const claimed =
      label === 0 ? first : change(first, ['thing', draw(['who', 'act'] as const)], draw);
    return [
      `${plain(first)} ${plain(event(draw))}`,
      sentence(`${claimed.who} ${claimed.act[1]} ${claimed.thing}`),
    ];
  },
  wnli: (label, draw) => {
    const [inner, outer] = draw(FITS);
    const big = draw([true, false]);
    const right = big ? inner : outer;
    const wrong = big ? outer : inner;
    const size = big ? 'big' : 'small';
    return [
      `The ${inner} does not fit into the ${outer} because it is too ${size}.`,
      `The ${label === 1 ? right : wrong} is too ${size}.`,
    ];
  },
};

function pairOfEvents(label: number, draw: Draw): Pair {
  const first = event(draw);
  const second =
    label === 1 ? first : change(first, [draw(['who', 'thing'] as const), 'place'], draw);
  return [plain(first), paraphrase(second)];
}

/** Share of class 1 where a task of GLUE is far from balanced. */
const POSITIVE_SHARE: Partial<Record<GlueTaskName, number>> = { cola: 0.65, mrpc: 0.65, qqp: 0.4 };

/** The generator of a split's rows, and a choice by it. */
export function drawing(task: string, split: string): { random: () => number; draw: Draw } {
  const random = seededRandom(Number.parseInt(digestOf([task, split]).slice(0, 8), 16));
  return { random, draw: (from) => from[Math.floor(random() * from.length)]! };
}

/** The rows of a split, the same each time. */
export function demoRows(task: GlueTask, split: string): Row[] {
  const { random, draw } = drawing(task.name, split);
  const label = (): number => {
    if (task.kind === 'regression') return Math.floor(random() * 6);
    if (task.labels.length > 2) return Math.floor(random() * task.labels.length);
    return random() < (POSITIVE_SHARE[task.name] ?? 0.5) ? 1 : 0;
  };
  return Array.from({ length: split === 'train' ? TRAIN_ROWS : VALIDATION_ROWS }, () => {
    const meant = label();
    const [text, pair] = MAKERS[task.name](meant, draw);
    return { text, pair, label: random() < WRONG_LABELS ? label() : meant };
  });
}
