/** An error of the thread that prepares data keeps what callers look at. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../common/package';
import type { prepareDatasetInThread } from '../../orchestrator/tasks/prepare-thread';
import type { Plan } from '../../orchestrator/sweep/types';
import { COMMAND, makeTemplate } from './broken-place';

// A thread runs what is built, not what Jest compiles.
const built = join(packageRoot(), 'dist/orchestrator/tasks/prepare-thread.js');

test('its code tells a full disk from a fault, and its message has no stack trace', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-thread-'));
  try {
    await makeTemplate(folder);
    const { stdout } = spawnSync(
      process.execPath,
      [COMMAND, 'plan', '--sweep', 's.yaml', '--backbone', './base', '--json'],
      { cwd: folder, encoding: 'utf8' },
    );
    const { datasets, backbone } = JSON.parse(stdout) as Plan;
    const { prepareDatasetInThread: prepare } = jest.requireActual<{
      prepareDatasetInThread: typeof prepareDatasetInThread;
    }>(built);
    const root = join(folder, 'file');
    writeFileSync(root, '');
    await expect(prepare(datasets[0]!, backbone.path, root)).rejects.toMatchObject({
      code: 'ENOTDIR',
      message: expect.not.stringContaining('\n') as string,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
