/**
 * Two workplaces with the same sweep file and a trainer each: one is left alone, and the other one
 * has a brake, so that its processes can be killed while its trainer is at work.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Brake } from '../support/brake';
import { TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };

export class CalmAndHit {
  private readonly folder = mkdtempSync(join(tmpdir(), 'sa-orch-calm-'));
  readonly brake = new Brake(join(this.folder, 'brake'), process.env.SA_ORCH_TEST_PYTHON!);
  readonly beside = new TrainerPlace();
  readonly braked = new TrainerPlace();
  calm!: Workplace;
  hit!: Workplace;

  /** Returns the trainer with the brake. */
  async begin(file: string, sweep: string): Promise<TrainerProcess> {
    const [trainer] = await Promise.all([
      this.braked.start([], 'toy', this.brake),
      this.beside.start([], 'toy'),
    ]);
    this.calm = new Workplace(join(this.folder, 'calm'), OFFLINE, this.beside.root);
    this.hit = new Workplace(join(this.folder, 'hit'), OFFLINE, this.braked.root);
    for (const { folder } of [this.calm, this.hit]) writeFileSync(join(folder, file), sweep);
    return trainer;
  }

  async remove(): Promise<void> {
    await Promise.all([this.calm.down(), this.hit.down()]);
    await Promise.all([this.beside.remove(), this.braked.remove()]);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20 });
  }
}
