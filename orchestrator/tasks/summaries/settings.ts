/** How summaries are generated, in a sweep file. */
import { map, real, whole } from '../../config/schema-parts';

export const generation = map({
  beams: whole(1, 1024).optional(),
  min_length: whole(0, 8192).optional(),
  max_length: whole(1, 8192).optional(),
  no_repeat_ngram: whole(0, 8192).optional(),
  length_penalty: real('a number', Number.isFinite).optional(),
});
