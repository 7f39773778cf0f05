/**
 * Demo rows of question answering, as those of demo.ts: questions about a few small events, told
 * one after the other.
 */
import {
  drawing,
  event,
  plain,
  TRAIN_ROWS,
  VALIDATION_ROWS,
  WRONG_LABELS,
  type Draw,
  type Event,
} from '../rows/demo-rows';
import type { SquadExample, SquadTask } from './squad-json';

/** Events of a context, in sentences. */
const EVENTS = 3;
/** So many questions of squad_v2 have no answer, as in its published training set. */
const UNANSWERED = 1 / 3;

type Asked = [question: string, answer: string];

/** Ways to ask for a part of an event by the others. */
const QUESTIONS: readonly ((event: Event) => Asked)[] = [
  ({ who, act, thing, place }) => [`Where did ${who} ${act[2]} ${thing}?`, place],
  ({ who, act, thing, day }) => [`When did ${who} ${act[2]} ${thing}?`, day],
  ({ who, act, thing }) => [`Who ${act[1]} ${thing}?`, who],
  ({ who, act, place, thing }) => [`What did ${who} ${act[2]} ${place}?`, thing],
];

/** The questions of a split, the same each time. */
export function demoQuestions(task: SquadTask, split: string): SquadExample[] {
  const { random, draw } = drawing(task, split);
  return Array.from(
    { length: split === 'train' ? TRAIN_ROWS : VALIDATION_ROWS },
    (_, i): SquadExample => {
      const events = differentEvents(draw);
      const context = events.map(plain).join(' ');
      const asked = Math.floor(random() * EVENTS);
      // A wrong answer is another event's.
      const told = random() < WRONG_LABELS ? (asked + 1) % EVENTS : asked;
      const ask = draw(QUESTIONS);
      const id = `${split}-${i + 1}`;
      if (task === 'squad_v2' && random() < UNANSWERED) {
        const [question] = ask(untold(events, draw));
        return { id, question, context, answers: [] };
      }
      const [question] = ask(events[asked]!);
      const [, answer] = ask(events[told]!);
      const sentenceStart = events
        .slice(0, told)
        .reduce((length, each) => length + plain(each).length + 1, 0);
      const start =
        sentenceStart + plain(events[told]!).toLowerCase().indexOf(answer.toLowerCase());
      return {
        id,
        question,
        context,
        answers: [{ text: context.slice(start, start + answer.length), start }],
      };
    },
  );
}

/**
 * Of a context: no two have a person, an act or a thing in common, so that each question has one
 * answer.
 */
export function differentEvents(draw: Draw): Event[] {
  const events: Event[] = [];
  while (events.length < EVENTS) events.push(untold(events, draw));
  return events;
}

/** One that has neither a person nor an act nor a thing of these. */
function untold(events: readonly Event[], draw: Draw): Event {
  for (;;) {
    const next = event(draw);
    if (
      events.every(
        ({ who, act, thing }) => who !== next.who && act !== next.act && thing !== next.thing,
      )
    )
      return next;
  }
}
