/** Uniform random scores; by the official rules normal ones, new in each round. */
import { elements } from '../../../common/safetensors';
import { randomFor } from '../../host/random';
import { normals, uniforms } from '../draws';
import { mapped, noRows, type Scorer } from './scorer';

export const rand: Scorer = {
  plannedRows: noRows,
  // The second draw.
  published: { chooseWrittenLast: (_, up) => up, scoresFrozen: true },
  score: ({ trial, shapes, done, isOfficial }) =>
    mapped(shapes, (shape, name) =>
      isOfficial
        ? normals(elements(shape), 1, randomFor(trial.seed, 'rand', name, done))
        : uniforms(elements(shape), 0, 1, randomFor(trial.seed, 'rand', name)),
    ),
};
