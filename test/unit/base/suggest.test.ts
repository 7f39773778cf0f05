import { nearest, suggestion } from '../../../orchestrator/base/suggest';

describe('a mistyped word', () => {
  test('most likely stands for the candidate with the fewest edits', () => {
    expect(nearest('sedes', ['seeds', 'tasks', 'rows'])).toBe('seeds');
    expect(nearest('MRCP', ['mrpc', 'rte'])).toBe('mrpc');
  });

  test('counts two swapped neighbours as one edit', () => {
    expect(nearest('rnad', ['rand', 'road'])).toBe('rand');
    expect(nearest('ab', ['ba'])).toBe('ba');
  });

  test('stands for the one that begins with it, however long', () => {
    expect(nearest('compar', ['compat', 'compare'])).toBe('compare');
    expect(nearest('Spars', ['scope', 'sparsity'])).toBe('sparsity');
    expect(nearest('max', ['max_target_length', 'max_length'])).toBe('max_length');
    expect(nearest('ma', ['max_length'])).toBeNull();
  });

  test('stands for the one that begins most alike, of equally near ones', () => {
    expect(nearest('roww', ['cows', 'rows'])).toBe('rows');
    expect(nearest('taks', ['oaks', 'task'])).toBe('task');
  });

  test('stands for the one that it begins with, if nothing is near', () => {
    expect(nearest('rows_per_task', ['row', 'rows', 'tasks'])).toBe('rows');
  });

  test('stands for none when more than two fifths of it would change', () => {
    expect(nearest('sed', ['seeds'])).toBe('seeds');
    expect(nearest('snip', ['synflow', 'mag'])).toBeNull();
    expect(nearest('abcdef', ['abcdxy'])).toBe('abcdxy');
    expect(nearest('abcdef', ['abcxyz'])).toBeNull();
    expect(nearest('x', [])).toBeNull();
  });

  test('is followed by a question, or by nothing', () => {
    expect(suggestion('sedes', ['seeds'])).toBe('; did you mean "seeds"?');
    expect(suggestion('rows', ['seeds'])).toBe('');
  });
});
