/**
 * One trial on MRPC (Houlsby 64, batch 32, dropout 0) by both trainers' engines, in turn in one run
 * on the same rows with the same threads.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../common/package';
import { JobSpec, Precision, Pruner, TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { trial } from '../support/jobs';
import { AnsweringProgram } from '../support/reference';

const ROUNDS = 5;
const STEPS_A_ROUND = 4;
const BATCH = 32;
const ROWS = 640;
const DIGEST = '7'.repeat(32);
/** Linux counts a process's time in these. */
const TICKS_A_SECOND = 100;

interface Speed {
  rows_per_second: number;
  /** By processor time, which other programs that run at the same time disturb less. */
  rows_per_processor_second: number;
}

export interface FrameworkSpeeds {
  steps: number;
  torch: Speed;
  tfjs: Speed;
  /** How many times PyTorch's time TensorFlow.js takes: by the clock, and by processor time. */
  ratio: number;
  processor_ratio: number;
}

export async function frameworksSideBySide(
  python: string,
  backbone: string,
  tfjs: string,
): Promise<FrameworkSpeeds> {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-frameworks-'));
  const dist = join(packageRoot(), 'dist');
  const contenders = {
    torch: new Contender(
      join(folder, 'torch'),
      backbone,
      python,
      [join(packageRoot(), 'test/fidelity/trainer_reference.py')],
      {},
    ),
    tfjs: new Contender(
      join(folder, 'tfjs'),
      backbone,
      process.execPath,
      [join(dist, 'test/support/run-engine.js'), join(dist, 'trainer/tfjs/engine.js')],
      { SA_ORCH_TFJS_NODE: tfjs },
    ),
  };
  try {
    for (const { dataset } of Object.values(contenders)) {
      mkdirSync(dataset, { recursive: true });
      writeFileSync(join(dataset, 'dataset.json'), '{}');
      execFileSync(
        python,
        [join(packageRoot(), 'trainer/torch/bench/write_rows.py'), backbone, dataset, String(ROWS)],
        {
          stdio: 'inherit',
        },
      );
    }
    // The first steps load the backbone and warm up; they count for nobody.
    for (const contender of Object.values(contenders)) await contender.warmUp();
    for (let round = 0; round < ROUNDS; round++)
      for (const contender of Object.values(contenders)) await contender.train(STEPS_A_ROUND);
    const [torch, tensorflow] = [contenders.torch.speed(), contenders.tfjs.speed()];
    const ratio = (of: keyof Speed): number => Math.round((100 * torch[of]) / tensorflow[of]) / 100;
    return {
      steps: ROUNDS * STEPS_A_ROUND,
      torch,
      tfjs: tensorflow,
      ratio: ratio('rows_per_second'),
      processor_ratio: ratio('rows_per_processor_second'),
    };
  } finally {
    for (const contender of Object.values(contenders)) contender.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An engine in a process of its own, which trains on from its checkpoints. */
class Contender {
  readonly dataset: string;
  private readonly engine: AnsweringProgram;
  private steps = 0;
  private seconds = 0;
  private processorSeconds = 0;

  constructor(
    private readonly root: string,
    private readonly backbone: string,
    program: string,
    args: string[],
    env: Record<string, string>,
  ) {
    this.dataset = join(root, 'datasets', DIGEST);
    this.engine = new AnsweringProgram(program, args, env);
  }

  async warmUp(): Promise<void> {
    await this.ask({ $case: 'prune', value: {} });
    await this.train(2);
    this.seconds = this.processorSeconds = 0;
  }

  async train(steps: number): Promise<void> {
    this.steps += steps;
    const [before, processorBefore] = [this.trained(), this.processorTime()];
    await this.ask({
      $case: 'train',
      value: {
        untilStep: this.steps,
        checkpointEverySteps: 0,
        logEverySteps: 1000,
        keepCheckpoints: 1,
        checkpointSeconds: 0,
      },
    });
    this.seconds += this.trained() - before;
    this.processorSeconds += this.processorTime() - processorBefore;
  }

  speed(): Speed {
    const rows = ROUNDS * STEPS_A_ROUND * BATCH;
    const round = (value: number): number => Math.round(10 * value) / 10;
    return {
      rows_per_second: round(rows / this.seconds),
      rows_per_processor_second: round(rows / this.processorSeconds),
    };
  }

  stop(): void {
    this.engine.stop();
  }

  private async ask(work: NonNullable<JobSpec['work']>): Promise<void> {
    const one = trial('bench', {
      adapter: { attentionBottleneck: 64, ffnBottleneck: 64 },
      prune: { pruner: Pruner.PRUNER_NONE, sparsity: 0 },
      train: { batchSize: BATCH, totalSteps: 10_000, dropout: 0, attentionDropout: 0 },
    });
    const dataset = {
      name: `datasets/${DIGEST}`,
      digest: DIGEST,
      taskKind: TaskKind.TASK_KIND_CLASSIFICATION,
      numLabels: 2,
    };
    const spec = {
      backbone: { path: this.backbone, digest: 'b'.repeat(64) },
      dataset,
      trials: [one],
      work,
      precision: Precision.PRECISION_FLOAT32,
    };
    const answer = await this.engine.ask({ root: this.root, spec: JobSpec.toJSON(spec) });
    const { failure, failures } = answer as { failure?: string; failures?: Record<string, string> };
    if (failure || Object.keys(failures ?? {}).length > 0)
      throw new Error(failure ?? JSON.stringify(failures));
  }

  /** Seconds of its steps so far, without loading and writing. */
  private trained(): number {
    const path = join(this.root, 'trials/bench/training.json');
    return existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as { seconds: number }).seconds
      : 0;
  }

  private processorTime(): number {
    const fields = readFileSync(`/proc/${this.engine.child.pid}/stat`, 'utf8')
      .split(') ')[1]!
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }
}
