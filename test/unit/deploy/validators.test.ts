/** Files of `deploy/` in the eyes of their own validators, all offline. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DEPLOY, findTool, readCompose, runTool } from './manifests';

const list = (folder: string, ending: string): string[] =>
  readdirSync(join(DEPLOY, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => join(DEPLOY, folder, name));

/** Skipped where the tool is missing, whose name the title has. */
const withTool = (tool: string, what: string, check: (file: string) => void): void => {
  const file = findTool(tool);
  if (file === undefined) test.skip(`${what} (needs ${tool})`, () => undefined);
  else test(`${what} (${tool})`, () => check(file));
};

const CHECK_COMPOSE = `
import json, sys
from compose_spec import PyCompose
for file in json.load(sys.stdin):
    try:
        PyCompose.from_json(json.dumps(file)).to_spec()
        print("right")
    except ValueError as error:
        print(error)
`;

withTool('kubernetes-validate', 'compose.yaml follows the specification', () => {
  const [right, wrong] = [readCompose(), readCompose()];
  wrong.services.worker!.restarts = 'always';
  const python = process.env.SA_ORCH_TEST_PYTHON ?? 'python3';
  const { output } = runTool(python, ['-c', CHECK_COMPOSE], JSON.stringify([right, wrong]));
  expect(output).toMatch(/^right\nextension key `restarts` does not start with "x-"/);
});

describe('Kubernetes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-deploy-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  withTool('kubernetes-validate', 'every object has the fields of its kind', (tool) => {
    const { resources } = parse(
      readFileSync(join(DEPLOY, 'kubernetes', 'kustomization.yaml'), 'utf8'),
    ) as { resources: string[] };
    const files = resources.map((name) => join(DEPLOY, 'kubernetes', name));
    const checked = runTool(tool, ['--strict', ...files]);
    expect(checked.output.match(/ passed for resource /g)).toHaveLength(6);
    expect(checked.status).toBe(0);
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(wrong, readFileSync(files[1]!, 'utf8').replace('serviceName:', 'service:'));
    expect(runTool(tool, ['--strict', wrong]).status).toBe(1);
  });

  withTool('kubectl', 'kustomize puts them together', (tool) => {
    const { status, output } = runTool(tool, ['kustomize', join(DEPLOY, 'kubernetes')]);
    expect(output).toContain('image: registry.example/sa-orch/trainer:');
    expect(output.match(/namespace: sa-orch/g)).toHaveLength(5);
    expect(status).toBe(0);
  });
});

withTool('hadolint', 'Dockerfiles', (tool) => {
  const checked = runTool(tool, list('images', '.Dockerfile'));
  expect(checked).toEqual({ status: 0, output: '' });
});

withTool('shellcheck', 'scripts', (tool) => {
  const checked = runTool(tool, [...list('', '.sh'), ...list('slurm', '.sbatch')]);
  expect(checked).toEqual({ status: 0, output: '' });
});
