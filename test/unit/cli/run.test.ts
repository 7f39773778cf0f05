import { normalizeFlags } from '../../../orchestrator/cli/options';
import { configOf, runCommand } from '../../../orchestrator/cli/run';
import { adapterLabel } from '../../../orchestrator/config/adapter-kinds';
import type { CompareLine } from '../../../orchestrator/config/sweep-config';

/** The one line of `compare` that these flags come to. */
function lineOf(flags: string): CompareLine {
  const command = runCommand();
  command.parseOptions(normalizeFlags(['--task', 'mrpc', ...flags.split(' ').filter((word) => word !== '')]));
  return configOf(command.opts()).compare[0]!;
}

const adapterOf = (flags: string) => lineOf(flags).adapters[0]!;

describe('the flags of sa-orch run', () => {
  test('without any are a dense houlsby adapter', () => {
    expect(lineOf('')).toMatchObject({ pruner: ['none'], adapters: [{ attention: 'sequential', ffn: 'sequential' }] });
  });

  test.each([
    ['--adapter lora', 'lora-8'],
    ['--adapter head_only', 'head_only'],
    ['--attn_mode adapter --attn_option sequential --attn_bn 64 --ffn_mode adapter --ffn_option sequential --ffn_bn 64', 'houlsby-64'],
    ['--attn_mode adapter --attn_option parallel --ffn_mode adapter --ffn_option parallel --attn_bn 16 --ffn_bn 32', 'parallel-16/32'],
    ['--attn-mode none --ffn-mode adapter --ffn-option pfeiffer', 'pfeiffer-64'],
    ['--attn_mode lora --attn_option sequential --attn_bn 4 --ffn_mode lora --ffn_option sequential', 'lora+lora-4/8'],
    ['--attn_mode prefix --attn_bn 30 --ffn_mode adapter --ffn_option parallel --ffn_bn=512', 'mam-30/512'],
    ['--attn_mode none --ffn_mode none', 'head_only'],
    ['--attn_mode lora', 'lora+sequential-8/64'],
    ['--ffn_option parallel', 'sequential+parallel-64'],
    ['--adapter mam --ffn-mode lora', 'prefix+lora-30/8'],
  ])('%s: %s', (flags, label) => {
    expect(adapterLabel(adapterOf(flags))).toBe(label);
  });

  test('say how it is pruned, and what a module needs', () => {
    expect(adapterOf('--adapter lora --lora_alpha 32')).toMatchObject({ lora_alpha: 32 });
    expect(lineOf('--pruner snip --sparsity 0.8 --scope local --scoring_rows 64 --rounds 5')).toMatchObject({
      ...{ pruner: ['snip'], sparsity: [0.8], scope: ['local'], scoring_rows: [64], rounds: [5] },
    });
  });

  test('that do not go together are refused', () => {
    expect(() => lineOf('--adapter bitfit --pruner snip --sparsity 0.4')).toThrow(/^--pruner: "snip" .* it has no matrix to prune/);
    expect(() => lineOf('--pruner mag --sparsity 0.4 --rounds 5')).toThrow('--rounds: 5 is not allowed');
  });

  test.each([
    ['--task mrcp', '--task: "mrcp" is not allowed'],
    ['--pruner snip --sparsity 1.2', '--sparsity: 1.2 is not allowed; must be a number in [0, 1)'],
    ['--attn_bn 0', '--attn-bn: 0 is not allowed'],
    ['--learning_rate=-1', '--learning-rate: -1 is not allowed'],
  ])('are named where a value is wrong: %s', (flags, message) => {
    expect(() => lineOf(flags)).toThrow(message);
  });
});
