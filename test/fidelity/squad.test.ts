/**
 * SQuAD's metrics, and answers out of logits, must be those of the official rules, which a script
 * of plain Python follows for comparison.
 *
 *   SA_ORCH_TEST_PYTHON  an interpreter with numpy
 *   SA_ORCH_DATA         a directory with squad/ and vocab/
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadQaTokenizer } from '../../orchestrator/tasks/questions/features';
import { seededRandom } from '../../orchestrator/base/seeded-random';
import { readSquad, type SquadExample } from '../../orchestrator/tasks/questions/squad-json';
import { evaluateSquad, evaluateSquadV2 } from '../../orchestrator/tasks/questions/metrics';
import { chooseAnswer } from '../../orchestrator/tasks/questions/answers';
import { askPython, testIf } from '../support/reference';
import { writeFolder } from '../support/tokenizer-folders';

const { SA_ORCH_TEST_PYTHON: python, SA_ORCH_DATA: data } = process.env;
const script = join(__dirname, 'squad_reference.py');
const there = data && existsSync(join(data, 'squad')) ? data : undefined;
const real = testIf('fidelity of SQuAD metrics', {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: there,
});

/** Predictions that are right, nearly right, wrong and empty, in turn. */
function predict(examples: readonly SquadExample[]): Map<string, string> {
  return new Map(
    examples.map(({ id, context, answers, question }, i) => {
      const gold =
        answers[i % Math.max(answers.length, 1)]?.text ?? context.slice(i % 50, (i % 50) + 20);
      const kinds = [
        gold,
        `The ${gold.toUpperCase()}.`,
        gold.split(' ').slice(1).join(' '),
        `${gold} ${question}`,
        '',
        context,
        ' an - "a" ',
        gold,
      ];
      return [id, kinds[i % kinds.length]!];
    }),
  );
}

/** Where a metric or threshold differs by more than rounding. */
function differences(ours: Record<string, number>, theirs: Record<string, number>): unknown[] {
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  return names
    .filter((name) => !(Math.abs(ours[name]! - theirs[name]!) <= 1e-9))
    .map((name) => [name, ours[name], theirs[name]]);
}

function ask(
  version: string,
  examples: SquadExample[],
  predictions: Map<string, string>,
  noAnswer: Map<string, number> | null,
) {
  const references = examples.map(({ id, answers }) => [id, answers.map(({ text }) => text)]);
  const asked = {
    references,
    predictions: Object.fromEntries(predictions),
    no_answer: noAnswer && Object.fromEntries(noAnswer),
  };
  return askPython(python!, [script, 'evaluate', version], [asked])[0] as Record<string, number>;
}

real(
  'exact match and F1 of v1.1 are the official ones on all of its development questions at hand',
  () => {
    const examples = readSquad(join(data!, 'squad', 'dev-v1.1.json'), 'squad');
    const predictions = predict(examples);
    const ours = evaluateSquad(examples, predictions);
    expect(ours.f1).toBeGreaterThan(ours.exact_match);
    expect(differences(ours, ask('v1.1', examples, predictions, null))).toEqual([]);
  },
);

real(
  'all metrics and thresholds of v2.0 are the official ones, with and without no-answer scores',
  () => {
    const examples = readSquad(join(data!, 'squad', 'dev-v2.0.json'), 'squad_v2');
    const predictions = predict(examples);
    expect(
      differences(
        evaluateSquadV2(examples, predictions, null),
        ask('v2.0', examples, predictions, null),
      ),
    ).toEqual([]);
    const random = seededRandom(1);
    // Many equal scores, some above the threshold of 1; lower ones where there is an answer, so
    // that a threshold helps.
    const noAnswer = new Map(
      examples.map(({ id, answers }) => [
        id,
        (Math.floor(12 * random() - 3 * answers.length) + 0.5) / 10,
      ]),
    );
    const ours = evaluateSquadV2(examples, predictions, noAnswer);
    expect(ours.best_exact).toBeGreaterThan(0);
    expect(ours.best_f1_thresh).not.toBe(0);
    expect(differences(ours, ask('v2.0', examples, predictions, noAnswer))).toEqual([]);
  },
);

real.each(['bert', 'roberta'])(
  'answers out of the logits of rows of %s are the official ones',
  async (name) => {
    const examples = readSquad(join(data!, 'squad', 'dev-v1.1.json'), 'squad').filter(
      (_, i) => i % 8 === 0,
    );
    const vocabulary = name === 'bert' ? 'bert-base-uncased' : 'roberta-base';
    const model = writeFolder(
      { 'config.json': { model_type: name } },
      join(data!, 'vocab', vocabulary),
    );
    const encode = await loadQaTokenizer(model, { max_length: 200, stride: 64 });
    const features = await encode(examples);
    const random = seededRandom(2);
    // Rounded ones are often equal.
    const draw = (length: number, rounded: boolean) =>
      Array.from({ length }, () =>
        Math.fround(rounded ? Math.round(20 * random()) / 4 : 10 * random()),
      );
    const questions = examples.map(({ context }, example) => {
      const own = features.filter((feature) => feature.example === example);
      return {
        context,
        own,
        logits: own.map(({ ids }) => ({
          start: draw(ids.length, example % 2 === 0),
          end: draw(ids.length, example % 2 === 0),
        })),
      };
    });
    const asked = questions.map(({ context, own, logits }) => ({
      context,
      features: own.map(({ ids, contextBegin, begins, ends }, i) => {
        const places = ids.map((_, token) => {
          const begin = begins[token - contextBegin];
          return begin === undefined ? null : [begin, ends[token - contextBegin]];
        });
        return { places, ...logits[i] };
      }),
    }));
    const ours = questions.map(({ context, own, logits }) => {
      const { text, nonEmptyText, noAnswerMargin } = chooseAnswer(context, own, logits);
      return [text, nonEmptyText, noAnswerMargin];
    });
    expect(features.length).toBeGreaterThan(examples.length);
    expect(ours).toEqual(askPython(python!, [script, 'answers'], asked));
  },
);
