/**
 * Runs before the conformance tests of a trainer: asks what it can do, so that cases it cannot do
 * are skipped by name (abilities.ts).
 */
import type { Config } from 'jest';
import { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { capabilitiesVariable } from './abilities';
import { TrainerPlace } from './trainer-process';
import { trainerCommand, type TrainerName } from './trainers';

// Jest calls a default export.
// eslint-disable-next-line no-restricted-syntax
export default async function askCapabilities(
  _: Config,
  { globals }: { globals: { trainerUnderTest: TrainerName } },
): Promise<void> {
  const name = globals.trainerUnderTest;
  if ('missing' in trainerCommand(name)) return;
  const place = new TrainerPlace();
  try {
    const { client } = await place.start([], name);
    process.env[capabilitiesVariable(name)] = JSON.stringify(
      Capabilities.toJSON(await client.getCapabilities()),
    );
  } finally {
    await place.remove();
  }
}
