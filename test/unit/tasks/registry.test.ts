import { TaskKind } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  contractKind,
  FAMILIES,
  findFamily,
  KIND_NAMES,
  publishedTask,
  PUBLISHED_TASK_NAMES,
} from '../../../orchestrator/tasks/registry';

const CONTRACT = Object.values(TaskKind).filter(
  (kind): kind is TaskKind => typeof kind === 'number' && kind > TaskKind.TASK_KIND_UNSPECIFIED,
);

describe('the task families', () => {
  test('know every kind of the contract, each once and by its name', () => {
    expect(KIND_NAMES.map(contractKind).sort()).toEqual(CONTRACT.sort());
    for (const name of KIND_NAMES)
      expect(TaskKind[contractKind(name)]).toBe(`TASK_KIND_${name.toUpperCase()}`);
  });

  test('have published tasks of their own kinds, no two of one name', () => {
    const all = FAMILIES.flatMap(({ published }) => published);
    expect(PUBLISHED_TASK_NAMES).toHaveLength(all.length);
    for (const family of FAMILIES)
      for (const { kind } of family.published) expect(findFamily(kind)).toBe(family);
  });

  test('count what a split has in words that fit the number', () => {
    const name = (kind: string, of: number) => {
      const features = kind === 'question_answering' ? of : undefined;
      const split = { name: 'train', rows: 1, of, file: 'f', digest: '', features };
      return findFamily(kind).words.nameRows(split);
    };
    expect(KIND_NAMES.map((kind) => name(kind, 1))).toEqual([
      'row',
      'row',
      'question in 1 window',
      'row',
    ]);
    expect(KIND_NAMES.map((kind) => name(kind, 2000))).toEqual([
      'rows',
      'rows',
      'questions in 2,000 windows',
      'rows',
    ]);
  });

  test('are not asked for another word', () => {
    expect(() => findFamily('translation')).toThrow(
      '"translation" is not a task kind; must be one of classification',
    );
    expect(() => publishedTask('mrpq')).toThrow(
      '"mrpq" is not a published task; must be one of cola',
    );
  });
});
