/** Demo rows for question answering: questions about a few small events, see demo-events.ts. */
import {
  countDemoRows,
  drawDifferentEvents,
  drawOther,
  EVENTS_OF_A_CONTEXT,
  openDrawing,
  tellPlainly,
  WRONG_LABELS,
  type Event,
} from '../../datasets/demo-events';
import type { SquadExample, SquadTask } from './squad-json';

/** The fraction of squad_v2's questions without an answer, as in its published training set. */
const UNANSWERED = 1 / 3;

type Asked = [question: string, answer: string];

/** Ways to ask for one part of an event, given the others. */
const QUESTIONS: readonly ((event: Event) => Asked)[] = [
  ({ who, act, thing, place }) => [`Where did ${who} ${act[2]} ${thing}?`, place],
  ({ who, act, thing, day }) => [`When did ${who} ${act[2]} ${thing}?`, day],
  ({ who, act, thing }) => [`Who ${act[1]} ${thing}?`, who],
  ({ who, act, place, thing }) => [`What did ${who} ${act[2]} ${place}?`, thing],
];

/** Makes the questions of a split, always the same. */
export function makeDemoQuestions(task: SquadTask, split: string): SquadExample[] {
  const { random, draw } = openDrawing(task, split);
  return Array.from({ length: countDemoRows(split) }, (_, i): SquadExample => {
    const events = drawDifferentEvents(draw);
    const context = events.map(tellPlainly).join(' ');
    const asked = Math.floor(random() * EVENTS_OF_A_CONTEXT);
    // A wrong answer is that of another event.
    const told = random() < WRONG_LABELS ? (asked + 1) % EVENTS_OF_A_CONTEXT : asked;
    const ask = draw(QUESTIONS);
    const id = `${split}-${i + 1}`;
    if (task === 'squad_v2' && random() < UNANSWERED) {
      const [question] = ask(drawOther(events, draw));
      return { id, question, context, answers: [] };
    }
    const [question] = ask(events[asked]!);
    const [, answer] = ask(events[told]!);
    const sentenceStart = events
      .slice(0, told)
      .reduce((length, each) => length + tellPlainly(each).length + 1, 0);
    const start =
      sentenceStart + tellPlainly(events[told]!).toLowerCase().indexOf(answer.toLowerCase());
    return {
      id,
      question,
      context,
      answers: [{ text: context.slice(start, start + answer.length), start }],
    };
  });
}
