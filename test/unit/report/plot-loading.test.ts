import { reportCommand } from '../../../orchestrator/cli/report';
import { renderPlot } from '../../../orchestrator/report/plot';
import { summarize } from '../../../orchestrator/report/summary';
import { buildPlan } from '../support/results';

const mockLoaded: string[] = [];
jest.mock('vega', () => mockLoaded.push('vega'));
jest.mock('vega-lite', () => mockLoaded.push('vega-lite'));

test('what draws plots is loaded for a plot, not with the commands', async () => {
  expect(reportCommand().name()).toBe('report');
  expect(mockLoaded).toEqual([]);
  await expect(renderPlot(summarize(buildPlan(), [], {}))).rejects.toThrow(TypeError);
  expect(mockLoaded.sort()).toEqual(['vega', 'vega-lite']);
});
