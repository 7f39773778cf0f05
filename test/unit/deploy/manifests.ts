/** What `deploy/` has, as the programs that read it see it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { packageRoot } from '../../../common/package';

export const DEPLOY = join(packageRoot(), 'deploy');

export interface ComposeService {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  entrypoint?: string[];
  stop_grace_period?: string;
  healthcheck?: { test: string[] };
  [key: string]: unknown;
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  [key: string]: unknown;
}

/**
 * Merge keys resolved, without the `x-` parts that they came from. Variables have their defaults,
 * and those without one their names.
 */
export function readCompose(): ComposeFile {
  const text = readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8')
    .replace(/\$\{(\w+):-([^}]*)\}/g, '$2')
    .replace(/\$\{(\w+):\?[^}]*\}/g, '$1')
    .replaceAll('$$', '$');
  const file = parse(text, { merge: true }) as ComposeFile;
  return Object.fromEntries(
    Object.entries(file).filter(([key]) => !key.startsWith('x-')),
  ) as ComposeFile;
}

export interface Container {
  image: string;
  args: string[];
  env?: { name: string; value: string }[];
  ports?: { containerPort: number }[];
  [probe: string]: unknown;
}

export interface KubernetesObject {
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown> & {
    template?: { spec: { containers: Container[]; terminationGracePeriodSeconds: number } };
    ports?: { port: number }[];
  };
}

export const readKubernetes = (name: string): KubernetesObject[] =>
  parseAllDocuments(readFileSync(join(DEPLOY, 'kubernetes', name), 'utf8')).map(
    (document) => document.toJS() as KubernetesObject,
  );

/** The named object of a file. */
export function readObject(file: string, kind: string): KubernetesObject {
  return readKubernetes(file).find((object) => object.kind === kind)!;
}

export const containerOf = (object: KubernetesObject): Container =>
  object.spec.template!.spec.containers[0]!;

/** A program on PATH or beside the tests' Python, which brings validators; undefined if none. */
export function findTool(name: string): string | undefined {
  const python = process.env.SA_ORCH_TEST_PYTHON;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return [...(python ? [dirname(python)] : []), ...folders]
    .map((folder) => join(folder, name))
    .find(existsSync);
}

/** Runs a program to its end; its output is one text. */
export function runTool(
  file: string,
  args: readonly string[],
  input?: string,
): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(file, args, { input, encoding: 'utf8' });
  return { status, output: error ? error.message : `${stdout}${stderr}` };
}
