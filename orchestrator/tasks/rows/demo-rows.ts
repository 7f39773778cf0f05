/**
 * Small generated rows for GLUE's tasks, for a first run without data and network; see
 * demo-events.ts. They are not GLUE rows.
 */
import {
  countDemoRows,
  drawEvent,
  openDrawing,
  paraphrase,
  PARTS,
  PEOPLE,
  tellPlainly,
  WRONG_LABELS,
  writeSentence,
  type Draw,
  type Event,
} from '../../datasets/demo-events';
import type { Row } from './dataset';
import type { GlueTask, GlueTaskName } from './published';

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

type Pair = [text: string, pair: string | null];

/** The same event with some parts redrawn, each different from before. */
function changeParts(from: Event, parts: readonly (typeof PARTS)[number][], draw: Draw): Event {
  let other = drawEvent(draw);
  while (parts.some((part) => other[part] === from[part])) {
    other = drawEvent(draw);
  }
  return { ...from, ...Object.fromEntries(parts.map((part) => [part, other[part]])) };
}

function shuffle(words: readonly string[], draw: Draw): string[] {
  const left = [...words];
  return words.map(() => left.splice(left.indexOf(draw(left)), 1)[0]!);
}

/** Makes a row of each task for a label; for regression, for a score. */
const MAKERS: Record<GlueTaskName, (label: number, draw: Draw) => Pair> = {
  cola: (label, draw) => {
    const { who, act, thing, place } = drawEvent(draw);
    const words = `${who} ${act[0]} ${thing} ${place}`.split(' ');
    return [writeSentence((label === 1 ? words : shuffle(words, draw)).join(' ')), null];
  },
  sst2: (label, draw) => {
    const [word, opposite] = label === 1 ? [GOOD, BAD] : [BAD, GOOD];
    const verdict = draw([
      `a ${draw(word)} and ${draw(word)} ${draw(FILMS)}`,
      `never ${draw(opposite)} , always ${draw(word)}`,
    ]);
    return [`${verdict} by ${draw(PEOPLE)} .`, null];
  },
  mrpc: makePairOfEvents,
  qqp: (label, draw) => {
    const ask = ({ who, act, thing, day }: Event) => `Where did ${who} ${act[2]} ${thing} ${day}?`;
    const first = drawEvent(draw);
    const second =
      label === 1 ? first : changeParts(first, [draw(['who', 'thing', 'act'] as const)], draw);
    return [
      ask(first),
      label === 1
        ? `In which place was it that ${second.who} ${second.act[1]} ${second.thing} ${second.day}?`
        : ask(second),
    ];
  },
  stsb: (score, draw) => {
    const first = drawEvent(draw);
    const changed = shuffle(PARTS, draw).slice(0, 5 - score) as (typeof PARTS)[number][];
    return [tellPlainly(first), tellPlainly(changeParts(first, changed, draw))];
  },
  mnli: (label, draw) => {
    const first = drawEvent(draw);
    if (label === 0)
      return [tellPlainly(first), writeSentence(`${first.who} ${first.act[1]} ${first.thing}`)];
    if (label === 1)
      return [
        tellPlainly(first),
        writeSentence(`${first.who} ${first.act[0]} ${first.thing} because of ${draw(PEOPLE)}`),
      ];
    return [tellPlainly(first), writeSentence(`nobody ${first.act[1]} ${first.thing}`)];
  },
  qnli: (label, draw) => {
    const asked = drawEvent(draw);
    const told = label === 0 ? asked : changeParts(asked, ['who', 'thing', 'act'], draw);
    return [`Where did ${asked.who} ${asked.act[2]} ${asked.thing}?`, tellPlainly(told)];
  },
  rte: (label, draw) => {
    const first = drawEvent(draw);
    const claimed =
      label === 0 ? first : changeParts(first, ['thing', draw(['who', 'act'] as const)], draw);
    return [
      `${tellPlainly(first)} ${tellPlainly(drawEvent(draw))}`,
      writeSentence(`${claimed.who} ${claimed.act[1]} ${claimed.thing}`),
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

function makePairOfEvents(label: number, draw: Draw): Pair {
  const first = drawEvent(draw);
  const second =
    label === 1 ? first : changeParts(first, [draw(['who', 'thing'] as const), 'place'], draw);
  return [tellPlainly(first), paraphrase(second)];
}

/** The fraction of class 1 in GLUE tasks that are far from balanced. */
const POSITIVE_SHARE: Partial<Record<GlueTaskName, number>> = { cola: 0.65, mrpc: 0.65, qqp: 0.4 };

/** Makes the rows of a split, always the same. */
export function makeDemoRows(task: GlueTask, split: string): Row[] {
  const { random, draw } = openDrawing(task.name, split);
  const drawLabel = (): number => {
    if (task.kind === 'regression') return Math.floor(random() * 6);
    if (task.labels.length > 2) return Math.floor(random() * task.labels.length);
    return random() < (POSITIVE_SHARE[task.name] ?? 0.5) ? 1 : 0;
  };
  return Array.from({ length: countDemoRows(split) }, () => {
    const meant = drawLabel();
    const [text, pair] = MAKERS[task.name](meant, draw);
    return { text, pair, label: random() < WRONG_LABELS ? drawLabel() : meant };
  });
}
