import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { porterStem } from '../../../../orchestrator/tasks/summaries/porter';
import {
  meanRouge,
  ROUGE_NAMES,
  rougeScorer,
} from '../../../../orchestrator/tasks/summaries/rouge';

/**
 * Made by test/fidelity/rouge_reference.py with rouge-score 0.1.2: scores without and with stemmer,
 * in the order of ROUGE_NAMES.
 */
interface Golden {
  reference: string;
  prediction: string;
  scores: [number[], number[]];
}
const golden = JSON.parse(
  readFileSync(join(__dirname, 'golden', 'rouge.json'), 'utf8'),
) as Golden[];

describe('ROUGE', () => {
  const named = golden.map(
    (each) => [JSON.stringify(each.reference), JSON.stringify(each.prediction), each] as const,
  );
  test.each(named)(
    "of %s and %s is rouge-score's",
    (_reference, _prediction, { reference, prediction, scores }) => {
      for (const [i, stemmer] of [false, true].entries()) {
        const ours = rougeScorer({ stemmer })(reference, prediction);
        expect(ROUGE_NAMES.map((name) => ours[name])).toEqual(
          scores[i]!.map((score) => expect.closeTo(score, 12) as number),
        );
      }
    },
  );

  test('of several pairs is their mean', () => {
    const pairs = [
      { reference: 'a b', prediction: 'a b' },
      { reference: 'a b c', prediction: 'c' },
    ];
    expect(meanRouge(pairs, { stemmer: true })).toEqual({
      rouge1: 0.75,
      rouge2: 0.5,
      rougeL: 0.75,
      rougeLsum: 0.75,
    });
  });
});

describe("Porter's stemmer", () => {
  test.each<[string, string]>([
    // The paper's examples, step by step.
    ['caresses ponies ties caress cats', 'caress poni tie caress cat'],
    ['feed agreed plastered bled motoring sing', 'feed agre plaster bled motor sing'],
    [
      'conflated troubled sized hopping tanned falling hissing fizzed failing filing',
      'conflat troubl size hop tan fall hiss fizz fail file',
    ],
    ['happy sky', 'happi sky'],
    [
      'relational conditional rational digitizer radically differently vilely analogously',
      'relat condit ration digit radic differ vile analog',
    ],
    [
      'vietnamization predication operator feudalism decisiveness hopefulness',
      'vietnam predic oper feudal decis hope',
    ],
    [
      'formality sensitivity sensibility triplicate formative formalize electricity',
      'formal sensit sensibl triplic form formal electr',
    ],
    [
      'revival allowance inference airliner gyroscopic adjustable defensible irritant',
      'reviv allow infer airlin gyroscop adjust defens irrit',
    ],
    [
      'replacement adjustment dependent adoption communism activate effective',
      'replac adjust depend adopt commun activ effect',
    ],
    ['probate rate cease controlling roll', 'probat rate ceas control roll'],
  ])('gives the stems of %s', (words, stems) => {
    expect(words.split(' ').map(porterStem).join(' ')).toBe(stems);
  });

  test.each<[string, string, string]>([
    [
      'irregular words',
      'skies dying lying tying news innings outing cannings howe proceed exceed succeed',
      'sky die lie tie news inning outing canning howe proceed exceed succeed',
    ],
    [
      'ies and ied, by the length of the word',
      'dies flies died spied applied',
      'die fli die spi appli',
    ],
    ['y after a consonant', 'enjoy spy by cry say', 'enjoy spi by cri say'],
    ['a short word that ends in a vowel and a consonant', 'using owed', 'use owe'],
    [
      'two suffixes with a doubled l',
      'gratefully formally possibly geology theology',
      'grate formal possibl geolog theolog',
    ],
  ])('departs from the paper as NLTK does for %s', (_what, words, stems) => {
    expect(words.split(' ').map(porterStem).join(' ')).toBe(stems);
  });
});
