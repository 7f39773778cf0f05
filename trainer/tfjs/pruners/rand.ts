/** Uniform random scores. */
import { elements } from '../../../common/safetensors';
import { randomFor } from '../../host/random';
import { uniforms } from '../draws';
import { mapped, noRows, type Scorer } from './scorer';

export const rand: Scorer = {
  plannedRows: noRows,
  score: ({ trial, shapes }) =>
    mapped(shapes, (shape, name) =>
      uniforms(elements(shape), 0, 1, randomFor(trial.seed, 'rand', name)),
    ),
};
