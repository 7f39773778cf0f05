/** Settings that only summarization has. */
import { listProblems, load } from '../support/sweep-file';
import { trainOf } from '../support/plans';

describe('settings of summarization', () => {
  test('have the defaults of the published scripts', () => {
    const config = load('tasks: xsum');
    expect(config.generation).toEqual({
      beams: 6,
      min_length: 10,
      max_length: 60,
      no_repeat_ngram: 3,
      length_penalty: 1,
    });
    expect(config.max_target_length).toBe(128);
    expect(trainOf(config.tasks[0]).label_smoothing).toBe(0.1);
  });

  test('are merged key by key with those of a profile and of the command line', () => {
    const yaml =
      'tasks: xsum\ngeneration: {beams: 4, max_length: 40}\nprofiles:\n  p: {generation: ' +
      '{beams: 2}}';
    expect(
      load(yaml, { profile: 'p', overrides: { generation: { min_length: 0 } } }).generation,
    ).toMatchObject({
      ...{ beams: 2, max_length: 40, min_length: 0, no_repeat_ngram: 3 },
    });
  });

  test('are of the tasks of summarization alone: what other tasks train with is as it was', () => {
    const { tasks } = load('tasks: [xsum, mrpc]\ntrain: {label_smoothing: 0.2}');
    expect(tasks.map((task) => trainOf(task).label_smoothing)).toEqual([0.2, undefined]);
    expect(Object.keys(trainOf(tasks[1]))).not.toContain('label_smoothing');
  });

  test.each([
    [
      'tasks: rte\ntrain: {epochs: 1, label_smoothing: 0}',
      '2: train.label_smoothing: applies only to summarization; remove it',
    ],
    [
      'tasks: rte\ngeneration: {beams: 2}',
      '2: generation: applies only to summarization; remove it, this sweep has no such task',
    ],
    ['tasks: rte\ndoc_stride: 10', '2: doc_stride: applies only to question answering; remove it'],
    ['tasks: rte\nmax_target_length: 9', '2: max_target_length: applies only to summarization'],
    [
      'tasks: [xsum, {name: rte, train: {label_smoothing: 0.1}}]',
      '1: tasks: label_smoothing applies only to summarization; remove it from rte, which is class',
    ],
    [
      'tasks: xsum\ngeneration:\n  min_length: 61',
      '3: generation: min_length 61 is more than max_length 60; must be at most that',
    ],
    [
      'tasks: xsum\ngeneration: {beam: 2}',
      '2: generation.beam is not a key here; did you mean "beams"?',
    ],
    [
      'tasks: xsum\ngeneration: {max_length: 0}',
      '2: generation.max_length: 0 is not allowed; must be a whole number from 1',
    ],
    [
      'tasks: xsum\ntrain: {label_smoothing: 1}',
      '2: train.label_smoothing: 1 is not allowed; must be a number in [0, 1)',
    ],
  ])('that are wrong are told with their line: %s', (yaml, message) => {
    expect(listProblems(yaml)).toEqual([expect.stringContaining(message)]);
  });

  test('that a profile has where they do not belong are told with its line', () => {
    const yaml = 'tasks: xsum\nprofiles:\n  p:\n    tasks: rte\n    train: {label_smoothing: 0}';
    expect(listProblems(yaml, { profile: 'p' })).toEqual([
      expect.stringContaining('5: train.label_smoothing: applies only to summarization'),
    ]);
  });
});
