/**
 * `npm run bench`: speeds, each beside what it is compared with, in one run. Prints one JSON document. Never part of a test: machines differ.
 * Needs SA_ORCH_DATA, a folder with the files that the parts read: glue/MRPC, squad, xsum and vocab/roberta-base.
 *
 *   npm run bench                     all parts
 *   npm run bench -- trial watch      some of them: trial, squad, generate, frameworks, sweep, watch
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { progressLineOnStderr as onProgress } from '../../orchestrator/cli/output';
import { resolveBackbone } from '../../orchestrator/runtime/backbone';
import { packageRoot } from '../../orchestrator/runtime/paths';
import { ensureTensorflowEnvironment } from '../../orchestrator/runtime/tensorflow-environment';
import { ensureTestEnvironment } from '../../orchestrator/runtime/trainer-environment';
import { frameworksSideBySide } from './frameworks';
import { sweepAgainstProcesses } from './sweep';
import { watchEvents } from './watch_events';

async function main(): Promise<void> {
  if (!process.env.SA_ORCH_DATA) throw new Error('SA_ORCH_DATA must name a folder with the data sets');
  const { python, env } = await ensureTestEnvironment({ onProgress });
  const { path: backbone } = await resolveBackbone('all-MiniLM-L6-v2', { onProgress });
  Object.assign(process.env, env, { SA_ORCH_TEST_PYTHON: python });
  const sideBySide = (script: string, args: string[]) =>
    JSON.parse(
      execFileSync(python, [join(packageRoot(), 'trainer/torch/bench', script), ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    ) as unknown;
  const parts: Record<string, () => unknown> = {
    trial: () => sideBySide('side_by_side.py', [backbone]),
    squad: () => sideBySide('squad_side_by_side.py', [backbone]),
    generate: () => sideBySide('generate_side_by_side.py', []),
    frameworks: async () => frameworksSideBySide(python, backbone, (await ensureTensorflowEnvironment({ onProgress })).modulePath),
    sweep: () => sweepAgainstProcesses(python, backbone),
    watch: () => watchEvents(),
  };
  const wanted = process.argv.slice(2);
  const results: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    onProgress('…', 'bench', name);
    results[name] = await part();
  }
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
