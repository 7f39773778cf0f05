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

  test('stands for none when more than a third of it would change', () => {
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
