import { makeDemoRows } from '../../../../orchestrator/tasks/rows/demo-rows';
import { GLUE_TASK_NAMES, findGlueTask } from '../../../../orchestrator/tasks/rows/published';

describe.each(GLUE_TASK_NAMES)('demo rows of %s', (name) => {
  const task = findGlueTask(name);

  test('are the same each time, and other rows in each split', () => {
    expect(makeDemoRows(task, 'train')).toEqual(makeDemoRows(task, 'train'));
    expect(makeDemoRows(task, 'train')[0]).not.toEqual(makeDemoRows(task, 'validation')[0]);
  });

  test('have the shape of the task', () => {
    for (const split of task.splits) {
      const rows = makeDemoRows(task, split.name);
      expect(rows).toHaveLength(split.name === 'train' ? 600 : 200);
      expect(
        rows.every((row) => row.text !== '' && (row.pair !== null) === (task.text.length === 2)),
      ).toBe(true);
      const labels = new Set(rows.map((row) => row.label));
      const expected =
        task.kind === 'regression' ? [0, 1, 2, 3, 4, 5] : task.labels.map((_, i) => i);
      expect([...labels].sort()).toEqual(expected);
    }
  });
});
