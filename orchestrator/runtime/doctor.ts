/** Looks at everything that a start needs, and changes nothing. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../cli/output';
import { DEFAULT_BACKBONE, hasDefaultBackbone } from './backbone';
import { detectGpu } from './gpu';
import { isComplete } from './install-python';
import { cacheDirectory } from './paths';
import { isPortFree } from './ports';
import { findBasePython, findInterpreters } from './python';
import { findOnPath } from './run-command';
import { runtimeStatus } from './status';
import { peekTemporalBinary } from './temporal-binary';
import { externalTemporal } from './temporal-client';
import { hasTensorflowEnvironment, missingTools } from './tensorflow-environment';
import { checkVersions, pinnedEnvironment } from './trainer-environment';

export interface Finding {
  name: string;
  /** `broken` keeps a sweep from running; `note` is worth a look. */
  state: 'fine' | 'note' | 'broken';
  /** What was found. */
  text: string;
  /** What to do; null where nothing needs to be done. */
  advice: string | null;
}

interface Places {
  stateDir: string;
  root: string;
  dataDir: string | undefined;
  python: string | undefined;
}

const GIB = 2 ** 30;
/** Below this a sweep's checkpoints, or the trainer's environment, may not fit. */
const LOW_DISK = 2 * GIB;

/** All findings, in the order in which a start needs the things. */
export async function examine(places: Places): Promise<Finding[]> {
  const checks: [string, () => Promise<Omit<Finding, 'name'>> | Omit<Finding, 'name'>][] = [
    ['node', () => fine(`${process.versions.node}`)],
    ['temporal', checkTemporal],
    ['trainer torch: python', () => asTorchIsNeeded(checkPython, places.python)],
    ['trainer torch', () => asTorchIsNeeded(checkEnvironment, places.python)],
    ['trainer tfjs', checkTensorflow],
    ['backbone', checkBackbone],
    ['gpu', () => fine(detectGpu() ? 'an NVIDIA driver is here' : 'none: trials run on the CPU, and `quick` profiles are chosen')],
    ['data', () => checkData(places.dataDir)],
    ['ports', checkPorts],
    ['disk (artifacts)', () => checkDisk(places.root)],
    ['disk (state)', () => checkDisk(places.stateDir)],
    ['disk (cache)', () => checkDisk(cacheDirectory())],
    ['services', () => checkServices(places.stateDir)],
  ];
  const findings: Finding[] = [];
  for (const [name, check] of checks) {
    try {
      findings.push({ name, ...(await check()) });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      findings.push({ name, state: 'broken', text: error.message, advice: error.hint ?? null });
    }
  }
  return findings;
}

const fine = (text: string): Omit<Finding, 'name'> => ({ state: 'fine', text, advice: null });

async function checkTemporal(): Promise<Omit<Finding, 'name'>> {
  const external = externalTemporal();
  if (external) return fine(`${external.address}, namespace ${external.namespace}, named by the environment`);
  const binary = await peekTemporalBinary();
  if (binary) return fine(`${binary.version}, ${binary.path}`);
  const installer = findOnPath('uv') ?? (await findInterpreters()).find(({ hasPip }) => hasPip)?.path;
  if (installer) return fine(`will be downloaded at the first start, with ${installer}`);
  return {
    state: 'broken',
    text: 'not found, and neither uv nor pip is here to download it',
    advice: 'Install the Temporal CLI, uv or pip.',
  };
}

async function checkPython(own: string | undefined): Promise<Omit<Finding, 'name'>> {
  if (own) return fine(`${own}, named by the user`);
  const uv = findOnPath('uv');
  const { path, version } = await findBasePython(uv === undefined);
  return fine(`${version.join('.')}, ${path}${uv ? `; uv, ${uv}` : ''}`);
}

async function checkEnvironment(own: string | undefined): Promise<Omit<Finding, 'name'>> {
  if (own) return fine(await checkVersions(findOnPath(own) ?? own, true));
  const { folder } = pinnedEnvironment();
  if (!isComplete(folder)) return fine('will be made at the first start (minutes)');
  return fine(`${await checkVersions(join(folder, 'bin', 'python'), false)}, in ${folder}`);
}

/** Where TensorFlow.js is set up and no interpreter is named, a start goes on without torch. */
async function asTorchIsNeeded(check: (own: string | undefined) => Promise<Omit<Finding, 'name'>>, own: string | undefined) {
  try {
    return await check(own);
  } catch (error) {
    if (!(error instanceof UserError) || own !== undefined || !hasTensorflowEnvironment()) throw error;
    return { state: 'note' as const, text: `${error.message}; a start uses tfjs`, advice: error.hint ?? null };
  }
}

/** Missing tools are a note: torch is the trainer that a start takes by itself. */
function checkTensorflow(): Omit<Finding, 'name'> {
  if (hasTensorflowEnvironment()) return fine('TensorFlow.js is set up');
  const missing = missingTools();
  if (missing.length === 0) return fine('will be made at the first start with --framework tfjs (a minute or two)');
  return { state: 'note', text: 'cannot be built here', advice: missing.join('\n') };
}

function checkBackbone(): Omit<Finding, 'name'> {
  return fine(`${DEFAULT_BACKBONE} ${hasDefaultBackbone() ? 'is in the cache' : 'will be downloaded at the first start that uses it'}`);
}

function checkData(dataDir: string | undefined): Omit<Finding, 'name'> {
  if (dataDir === undefined) {
    return {
      state: 'note',
      text: 'no folder of data is named',
      advice: 'Give --data-dir, or SA_ORCH_DATA; else the hub is tried, then demo rows.',
    };
  }
  if (existsSync(dataDir) && statSync(dataDir).isDirectory()) return fine(dataDir);
  return {
    state: 'broken',
    text: `${dataDir} is no folder`,
    advice: 'Name the folder that has CoLA/, MRPC/, … or train-v1.1.json, … in it.',
  };
}

async function checkPorts(): Promise<Omit<Finding, 'name'>> {
  const taken: number[] = [];
  for (const port of [7233, 8233]) if (!(await isPortFree(port))) taken.push(port);
  return fine(taken.length === 0 ? '7233 and 8233 are free' : `${taken.join(' and ')} in use: the next free ones are taken`);
}

function checkDisk(folder: string): Omit<Finding, 'name'> {
  const existing = nearestExisting(folder);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return { state: 'broken', text: `${existing} cannot be written to`, advice: 'Choose another folder.' };
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const text = `${(free / GIB).toFixed(1)} GiB free for ${folder}`;
  return free < LOW_DISK ? { state: 'note', text, advice: 'Make room: less than 2 GiB may not last for a sweep.' } : fine(text);
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}

async function checkServices(stateDir: string): Promise<Omit<Finding, 'name'>> {
  const services = await runtimeStatus(stateDir);
  if (services.length === 0) return fine('none were started here');
  const text = services.map(({ name, state }) => `${name} ${state}`).join(', ');
  const failed = services.filter(({ state }) => state === 'failed' || state === 'dead');
  if (failed.length === 0) return fine(text);
  return { state: 'note', text, advice: `\`sa-orch up\` starts them again; logs: ${failed.map(({ log }) => log).join(', ')}` };
}
