/**
 * Workflows that were running when the code was changed must go on: saved histories of real sweeps
 * replay on today's code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';

const folder = join(__dirname, 'histories');
const options = { workflowBundle: { codePath: join(__dirname, '../../dist/workflow-bundle.js') } };
const parseHistory = (text: string) => historyFromJSON(JSON.parse(text));

beforeAll(() => Runtime.install({ logger: new DefaultLogger('ERROR') }));

test.each(readdirSync(folder))('%s replays', async (file) => {
  const history = parseHistory(readFileSync(join(folder, file), 'utf8'));
  const [started] = history.events!.map((each) => each.workflowExecutionStartedEventAttributes);
  // Requests for trainers carry it.
  await Worker.runReplayHistory(options, history, started!.workflowId!);
});

test('a history that the code would not have made is found', async () => {
  const changed = readFileSync(join(folder, 'cohort.json'), 'utf8').replaceAll(
    '"evaluateTrials"',
    '"judgeTrials"',
  );
  await expect(Worker.runReplayHistory(options, parseHistory(changed))).rejects.toThrow(
    DeterminismViolationError,
  );
});
