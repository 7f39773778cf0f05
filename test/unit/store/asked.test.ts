/** What was asked for at a sweep's start. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beganWith, writeAsked } from '../../../orchestrator/store/asked';
import type { Asked } from '../../../orchestrator/sweep/types';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-asked-'));
afterAll(() => rmSync(root, { recursive: true }));

test('tells which command began the sweep', async () => {
  const asked: Asked = { format: 1, name: 's', file: null, profile: null, settings: {} };
  await writeAsked(root, 'typed-1', asked);
  await writeAsked(root, 's-1', { ...asked, file: { path: 's.yaml', text: 'tasks: [mrpc]\n' } });
  expect(await beganWith(root, 'typed-1')).toBe('run');
  expect(await beganWith(root, 's-1')).toBe('start');
  expect(await beganWith(root, 'earlier-1')).toBe('start');
});
