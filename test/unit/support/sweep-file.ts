/** A sweep file as a test writes it, and what is said of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../orchestrator/base/errors';
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { loadSweepConfig, type LoadOptions } from '../../../orchestrator/config/load';
import type { SweepConfig } from '../../../orchestrator/config/sweep-config';

export const HOULSBY = completeAdapter({});

export const folder = mkdtempSync(join(tmpdir(), 'sa-orch-config-'));
export const file = join(folder, 'mine.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

export function load(yaml: string, options?: LoadOptions): SweepConfig {
  writeFileSync(file, yaml);
  return loadSweepConfig(file, options);
}

/** What is wrong, without the file's name: `3: tasks[0]: …`. */
export function listProblems(yaml: string, options?: LoadOptions): string[] {
  try {
    load(yaml, options);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.message.split('\n').map((line) => line.replace(`${file}:`, ''));
    throw error;
  }
  return [];
}

export function expectOneProblem(yaml: string, message: string): void {
  const found = listProblems(yaml);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(message);
}
