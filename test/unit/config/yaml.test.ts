/** What YAML can do, and what people get wrong in it. */
import { writeFileSync } from 'node:fs';
import { loadSweepConfig } from '../../../orchestrator/config/load';
import type { SweepConfig } from '../../../orchestrator/config/sweep-config';
import { expectOneProblem, file, listProblems, load } from '../support/sweep-file';

/** A sweep without the lines on which it is written. */
function withoutLines(sweep: SweepConfig): SweepConfig {
  return { ...sweep, compare: sweep.compare.map((line) => ({ ...line, origin: '' })) };
}

describe('merge keys', () => {
  test.each([
    [
      'in a profile, with keys of its own before and after',
      'tasks: rte\ntrain: &train {steps: 3, batch_size: 8}\n' +
        'profiles: {x: {train: {learning_rate: 1e-3, <<: *train, batch_size: 4}}}',
      'tasks: rte\ntrain: {steps: 3, batch_size: 8}\n' +
        'profiles: {x: {train: {steps: 3, batch_size: 4, learning_rate: 1e-3}}}',
    ],
    [
      'in the lines of compare',
      'tasks: rte\ncompare:\n  - &snip {pruner: snip, sparsity: [0.4, 0.8]}\n' +
        '  - <<: *snip\n    pruner: mag\n',
      'tasks: rte\ncompare:\n  - {pruner: snip, sparsity: [0.4, 0.8]}\n' +
        '  - {pruner: mag, sparsity: [0.4, 0.8]}\n',
    ],
    [
      'with a list of maps, of which the first comes first',
      'tasks: rte\nadapter: &a {kind: houlsby, bottleneck: 4}\ntrain: &b {steps: 3}\n' +
        'profiles: {x: {train: {<<: [*b, {steps: 5, batch_size: 4}]}, adapter: {<<: *a}}}',
      'tasks: rte\nadapter: {kind: houlsby, bottleneck: 4}\ntrain: {steps: 3}\n' +
        'profiles: {x: {train: {steps: 3, batch_size: 4}, ' +
        'adapter: {kind: houlsby, bottleneck: 4}}}',
    ],
    [
      'of a map that has some itself, in nested maps',
      'tasks: rte\nprofiles:\n  x: &x\n    train: &t {steps: 3}\n' +
        '  y: &y\n    <<: *x\n    rows: 10\n  z: {<<: *y, train: {<<: *t, batch_size: 2}}\n',
      'tasks: rte\nprofiles:\n  x: {train: {steps: 3}}\n  y: {train: {steps: 3}, rows: 10}\n' +
        '  z: {rows: 10, train: {steps: 3, batch_size: 2}}\n',
    ],
  ])('mean what is written out: %s', (_what, merged, written) => {
    const profiles = [null, ...load(written).profiles.map(({ name }) => name)];
    for (const profile of profiles) {
      expect(withoutLines(load(merged, { profile }))).toEqual(
        withoutLines(load(written, { profile })),
      );
    }
  });

  test.each([
    [
      'a wrong value, where it is written',
      'tasks: rte\ntrain: &t {steps: 1}\nprofiles:\n  x: &x\n    rows: none\n  y:\n    <<: *x',
      ['5: profiles.x.rows: "none"', '5: profiles.y.rows: "none"'],
    ],
    ['no map', 'seeds: &s [1]\ntasks: rte\ntrain:\n  <<: *s', ['4: <<: must be a map']],
    ['no anchor', 'tasks: rte\ntrain:\n  <<: *s', ['3: *s has no complete value &s']],
    ['itself', 'tasks: rte\ntrain: &t\n  <<: *t', ['3: *t has no complete value &t before it']],
    ['an unknown key', 'tasks: rte\ntrain: {"<<": {steps: 1}}', ['2: train.<< is not a key here']],
  ])('are told of %s', (_what, yaml, messages) => {
    const found = listProblems(yaml);
    expect(found).toEqual(messages.map((message) => expect.stringContaining(message) as unknown));
  });
});

describe('a sweep file', () => {
  test('may begin with a byte-order mark and have a document mark', () => {
    expect(load('\uFEFF---\ntasks: rte\n').tasks.map(({ name }) => name)).toEqual(['rte']);
  });

  test.each([
    ['a tab', 'tasks: rte\ntrain:\n\tsteps: 1', '3: is not valid YAML: Tabs are not allowed'],
    ['two documents', 'tasks: rte\n---\ntasks: mrpc', '2: begins a second document; a sweep file'],
    ['an unknown tag', 'tasks: !!python/name:os rte', '1: is not valid YAML: Unresolved tag'],
    ['a map as a key', 'tasks: rte\nseeds: {{ seeds }}', '2: has a map or a list as a key'],
    ['nothing in it', '# nothing\n', 'tasks: is missing; must be a list of task names'],
    ['one word', 'rte', '1: the file: "rte" is not allowed; must be a map'],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });

  test.each([
    ['lists', `tasks: ${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['maps', Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['lists that the reader can hold', `tasks: ${'['.repeat(500)}${']'.repeat(500)}`],
  ])('is told of very deep nesting: %s', (_what, yaml) => {
    const [found] = listProblems(yaml);
    expect(found).toMatch(/^\d+: /);
  });

  test('is told of another encoding, with the line', () => {
    writeFileSync(file, Buffer.from('tasks: rte\nname: é\n', 'latin1'));
    expect(() => loadSweepConfig(file)).toThrow(`${file}:2: is not UTF-8; save the file as UTF-8`);
  });
});
