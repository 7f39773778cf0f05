/**
 * Workflows that were running when the code was changed must go on: saved histories of real sweeps
 * replay on today's code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';

const folder = join(__dirname, 'histories');
const options = { workflowBundle: { codePath: join(__dirname, '../../dist/workflow-bundle.js') } };
const parseHistory = (text: string) => historyFromJSON(JSON.parse(text));

beforeAll(() => Runtime.install({ logger: new DefaultLogger('ERROR') }));

async function replay(file: string, workflowBundle: { codePath: string } | { code: string }) {
  const history = parseHistory(readFileSync(join(folder, file), 'utf8'));
  const [started] = history.events!.map((each) => each.workflowExecutionStartedEventAttributes);
  // Requests for trainers carry it.
  const sinks = { trace: { workflowEnded: { fn: () => undefined } } };
  await Worker.runReplayHistory({ workflowBundle, sinks }, history, started!.workflowId!);
}

test.each(readdirSync(folder))('%s replays', (file) => replay(file, options.workflowBundle));

// A worker that exports traces goes on with what one without them began.
test('all of them replay within spans', async () => {
  const dist = join(__dirname, '../../dist/workflows');
  const traced = await bundleWorkflowCode({
    workflowsPath: join(dist, 'index.js'),
    workflowInterceptorModules: [join(dist, 'trace-interceptors.js')],
    logger: new DefaultLogger('ERROR'),
  });
  for (const file of readdirSync(folder)) await replay(file, traced);
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
