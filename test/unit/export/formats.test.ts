import { FORMAT_NAMES } from '../../../orchestrator/export/export-format';
import { requireHolds } from '../../../orchestrator/export/formats';
import type { TrainedTrial } from '../../../orchestrator/export/trained-trial';
import type { AdapterConfig } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from '../support/plans';
import { plannedTrial } from '../support/tiny-plan';

function trained(change: Partial<AdapterConfig>): TrainedTrial {
  const trial = plannedTrial('t1');
  return {
    trial: { ...trial, adapter: { ...trial.adapter, ...change } },
    backbone: backbone(),
    dataset: dataset('mrpc'),
  } as unknown as TrainedTrial;
}

test('a form that a format does not have is refused with the formats that have it', () => {
  expect(() => requireHolds('peft', trained({}))).toThrow(
    't1 (houlsby, bert) cannot be exported as peft: PEFT has no bottleneck adapters; ' +
      '--format adapterhub or safetensors can hold it',
  );
});

test.each<[string, Partial<AdapterConfig>]>([
  ['the module concat', { attention: 'concat' }],
  ['the module parallel_context', { attention: 'parallel_context' }],
  ['normalizes what a module adds', { norm: 'update' }],
  ["learns a module's scale", { learned_scale: true }],
  ["replaces the backbone's own tensors", { unfrozen_tensors: ['*.bias'] }],
  ['another scale or norm at attention', { attention_norm: 'none' }],
  ['reads a prefix as cross', { attention: 'prefix', ffn: 'none', prefix_use: 'cross' }],
])('%s: only safetensors holds it', (reason, change) => {
  for (const format of FORMAT_NAMES) {
    const hold = () => requireHolds(format, trained(change));
    if (format === 'safetensors') expect(hold).not.toThrow();
    else expect(hold).toThrow(`${reason}; --format safetensors can hold it`);
  }
});

test('what matters only in training is no obstacle', () => {
  const change = { inner_dropout: true, ffn_after_dropout: true, frozen: ['head.*'] } as const;
  const adapter = { ...change, frozen: [...change.frozen] };
  expect(() => requireHolds('adapterhub', trained(adapter))).not.toThrow();
});
