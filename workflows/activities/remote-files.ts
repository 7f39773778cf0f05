/** The files of a job whose trainer has an artifact root of its own: sent before, fetched after. */
import { join } from 'node:path';
import { FileDigests } from '../../common/file-digests';
import type { Artifact, CheckpointWritten } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { ArtifactClient } from '../../orchestrator/trainer-client/artifacts';
import { readDoneResult, readStage } from '../../orchestrator/store/sweep-store';
import {
  digestHere,
  fetchArtifact,
  fetchIfThere,
  removeFolder,
  removeParts,
  type FetchSettings,
} from '../../orchestrator/trainer-client/fetch-files';
import {
  checkpointName,
  isTrained,
  listCheckpoints,
  listFolder,
  listJobFiles,
  listSteps,
  type JobFile,
} from '../../orchestrator/trainer-client/job-files';
import { sendFiles } from '../../orchestrator/trainer-client/send-files';
import type { Work } from '../../orchestrator/trainer-client/spec';
import { TransferFailed } from '../../orchestrator/trainer-client/transfer-failed';
import type { JobLog } from './job-log';
import { takeTurns } from './turns';

/** As trainers keep them: the newest, and the one before in case that is broken. */
const KEEP_CHECKPOINTS = 2;

/** Of all jobs of this worker: most files are the same for many of them. */
const digests = new FileDigests();

/** What moves, and how that is told. */
export interface RemoteJob {
  root: string;
  /** The backbone's directory on this machine. */
  backbonePath: string;
  /** The trainer's root, by its id. */
  remoteRootId: string;
  spec: JobSpec;
  work: Work;
  onSent: (bytes: number) => void;
  onReceived: (bytes: number) => void;
}

export class RemoteFiles {
  constructor(
    private readonly client: ArtifactClient,
    private readonly job: RemoteJob,
  ) {}

  /**
   * Sends what the job needs and its trainer lacks. One cohort at a time sends to a trainer: they
   * share most of their files.
   *
   * @throws TrainerError; TransferFailed if a file arrives broken again and again
   */
  async send(log: JobLog, signal: AbortSignal): Promise<void> {
    const { root, spec, work, backbonePath, remoteRootId, onSent } = this.job;
    const say = (note: string): void => log.hold('sending', note);
    say('waiting until the files of another cohort are sent');
    const send = async () => {
      say('looking for what the trainer lacks');
      const files = await listJobFiles(root, spec, work, backbonePath);
      if (work === 'train') files.push(...(await this.listNewestCheckpoints()));
      await sendFiles(this.client, files, { digests, say, onBytes: onSent, signal });
    };
    await takeTurns(remoteRootId, send, signal);
  }

  /**
   * Fetches a checkpoint, and removes those before its predecessor. A trial that has become done
   * needs none.
   */
  async fetchCheckpoint(
    { trialId: trial, step, artifact }: CheckpointWritten,
    signal: AbortSignal,
  ): Promise<void> {
    const { root } = this.job;
    if (artifact?.name !== checkpointName({ trial, step }))
      throw new TransferFailed(
        `the trainer's checkpoint of trial ${trial} at step ${step} is named ` +
          JSON.stringify(artifact?.name),
      );
    if (await readDoneResult(root, trial)) return;
    const quietly = { ...this.settings(signal), say: () => undefined };
    await fetchArtifact(this.client, root, trial, artifact, quietly);
    for (const old of (await listSteps(root, trial)).slice(KEEP_CHECKPOINTS))
      await removeFolder(join(root, checkpointName({ trial, step: old })));
  }

  /**
   * Fetches all that the job's results name, and removes what that makes needless here. What a
   * result has been written of stays as it is.
   *
   * @throws TrainerError; TransferFailed if the trainer no longer has what it has reported
   */
  async fetchResults(log: JobLog, signal: AbortSignal): Promise<void> {
    const { root, spec, work } = this.job;
    const say = (note: string): void => log.hold('fetching', note);
    const settings = { ...this.settings(signal), say };
    for (const [trial, artifacts] of log.reported) {
      if (await this.isDone(trial, artifacts)) {
        log.keepRecord(trial);
        continue;
      }
      // First, as a trainer writes them, so that it covers the adapter beside it.
      if (work === 'train')
        for (const { name } of artifacts) {
          const training = name.replace(/adapter$/, 'training.json');
          await fetchIfThere(this.client, root, trial, training, settings);
        }
      for (const artifact of artifacts)
        await fetchArtifact(this.client, root, trial, artifact, settings);
      // The checkpoint of a rung is what the next one continues from.
      const total_steps = spec.trials.find(({ trialId }) => trialId === trial)!.train!.totalSteps;
      if (work === 'train' && isTrained(root, { id: trial, total_steps }))
        await removeFolder(join(root, 'trials', trial, 'checkpoints'));
      await removeParts(root, trial);
    }
  }

  /**
   * Each trial's newest, even if the trainer has a newer one, which may be broken: it goes on from
   * the newest that is whole.
   */
  private async listNewestCheckpoints(): Promise<JobFile[]> {
    const { root, spec } = this.job;
    const files: JobFile[] = [];
    for (const local of await listCheckpoints(root, spec))
      files.push(...(await listFolder(root, checkpointName(local), 'checkpoint')));
    return files;
  }

  /** Whether the trial has a result, and the root what that was made of. */
  private async isDone(trial: string, artifacts: readonly Artifact[]): Promise<boolean> {
    const { root } = this.job;
    if (artifacts.length === 0 || !(await readDoneResult(root, trial))) return false;
    const recorded = new Map<string, string>();
    for (const work of ['prune', 'train', 'predict'])
      for (const each of Object.entries((await readStage(root, trial, work))?.artifacts ?? {}))
        recorded.set(...each);
    for (const { name } of artifacts)
      if (!recorded.has(name) || (await digestHere(root, name, digests)) !== recorded.get(name))
        return false;
    return true;
  }

  private settings(signal: AbortSignal): Omit<FetchSettings, 'say'> {
    return { digests, onBytes: this.job.onReceived, signal };
  }
}
