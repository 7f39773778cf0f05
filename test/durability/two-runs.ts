/**
 * Two runs of one sweep beside each other, in workplaces of their own: an undisturbed one, and one
 * whose processes are killed. They must end with the same numbers and bytes.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brake } from '../support/brake';
import { artifactOnDisk } from '../support/jobs';
import { Workplace } from '../support/workplace';

/** A sweep that is hit: where it runs, and the brake of its trainer, held from the start. */
export interface Hit {
  place: Workplace;
  brake: Brake;
}

export class TwoRuns {
  readonly folder = mkdtempSync(join(tmpdir(), 'sa-orch-durability-'));
  private readonly places: Workplace[] = [];

  /** python: an interpreter that has the trainer's packages. data: the folder of real rows. */
  constructor(
    private readonly python: string,
    private readonly data: string | undefined,
  ) {}

  /**
   * What starts a sweep file of the folder. One thread each: both runs go on at once, and digits
   * depend on the number of threads.
   */
  startArguments(file: string): string[] {
    return [
      ...['start', '--sweep', join(this.folder, file), '--threads', '1'],
      ...(this.data ? ['--data-dir', this.data] : []),
    ];
  }

  /**
   * Runs a sweep undisturbed and beside it as `disturb` has it, and returns the place of that one.
   * Both must have the same results and the same bytes of adapters, masks, predictions and `texts`:
   * what a trial leaves to read.
   */
  async compare(
    typed: string[],
    disturb: (hit: Hit) => Promise<void>,
    texts: string[] = [],
  ): Promise<Workplace> {
    const [calm, hit] = [this.workplace('calm'), this.workplace('hit')];
    hit.brake.hold();
    const [undisturbed] = await Promise.all([calm.place.run(typed), disturb(hit)]);
    expect(undisturbed.status).toBe(0);
    expect(hit.brake.wasFelt).toBe(true);
    expect(comparable(hit.place)).toEqual(comparable(calm.place));
    expect(filesOfTrials(hit.place, texts)).toEqual(filesOfTrials(calm.place, texts));
    return hit.place;
  }

  async remove(): Promise<void> {
    await Promise.all(this.places.map((place) => place.down()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  private workplace(name: string): Hit {
    const brake = new Brake(join(this.folder, `${name}-brake`), this.python);
    const place = new Workplace(join(this.folder, name), brake.env);
    this.places.push(place);
    return { place, brake };
  }
}

/** Digests of what a trial leaves: adapter, masks, predictions and texts. */
function filesOfTrials({ root }: Workplace, texts: string[]) {
  const names = ['adapter', 'masks.safetensors', 'predictions.validation.safetensors', ...texts];
  return readdirSync(join(root, 'trials')).flatMap((trial) =>
    names.map((name) => artifactOnDisk(root, `trials/${trial}/${name}`)),
  );
}

/** results.jsonl, line by line, without timings. */
export function comparable(place: Workplace): unknown[] {
  const lines = readFileSync(join(place.root, 'sweeps', place.sweepId(), 'results.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const { train, ...result } = JSON.parse(line) as { train: { steps: number } };
    return { ...result, steps: train.steps };
  });
}

/** BART's vocabulary among the real rows; undefined where it is missing. */
export function vocabularyIn(data: string | undefined): string | undefined {
  const folder = data && join(data, 'vocab', 'roberta-base');
  return folder && existsSync(folder) ? folder : undefined;
}
