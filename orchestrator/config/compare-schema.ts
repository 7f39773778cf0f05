/** The adapter keys of a sweep file, and a line of `compare`. */
import { z } from 'zod';
import { ADAPTER_KIND_NAMES } from './adapter-kinds';
import { PRUNER_NAMES, USED_BY, uses } from './pruners';
import { choice, count, fraction, list, map, positive, whole } from './schema-parts';

/** `snip, grasp or synflow`. */
const OR = new Intl.ListFormat('en-GB', { type: 'disjunction' });

const width = whole(1, 65536);

const adapterKeys = {
  kind: choice(ADAPTER_KIND_NAMES),
  attention: choice(['none', 'sequential', 'parallel', 'lora', 'prefix']),
  ffn: choice(['none', 'sequential', 'parallel', 'lora', 'after_norm']),
  bottleneck: width,
  attention_bottleneck: width,
  ffn_bottleneck: width,
  scale: positive,
  norm: choice(['none', 'before', 'after']),
  activation: choice(['relu', 'gelu', 'swish']),
  init: choice(['gaussian', 'zero_up']),
  init_std: positive,
  lora_alpha: positive,
  prefix_hidden: whole(0, 65536),
};

/** BitFit trains what is there already: a module beside it has no place in the contract. */
function checkModules({ kind, attention, ffn }: { kind?: unknown; attention?: unknown; ffn?: unknown }, context: z.RefinementCtx): void {
  if (![kind].flat().includes('bitfit')) return;
  for (const [key, value] of Object.entries({ attention, ffn })) {
    if (value !== undefined) context.addIssue({ code: 'custom', path: [key], message: 'left out where the kind is bitfit' });
  }
}

export const adapter = map(adapterKeys).partial().superRefine(checkModules);

/** In a line of `compare` each adapter key may be a list. */
const adapterChoices = map({
  kind: list(adapterKeys.kind),
  attention: list(adapterKeys.attention),
  ffn: list(adapterKeys.ffn),
  bottleneck: list(adapterKeys.bottleneck),
  attention_bottleneck: list(adapterKeys.attention_bottleneck),
  ffn_bottleneck: list(adapterKeys.ffn_bottleneck),
  scale: list(adapterKeys.scale),
  norm: list(adapterKeys.norm),
  activation: list(adapterKeys.activation),
  init: list(adapterKeys.init),
  init_std: list(adapterKeys.init_std),
  lora_alpha: list(adapterKeys.lora_alpha),
  prefix_hidden: list(adapterKeys.prefix_hidden),
})
  .partial()
  .superRefine(checkModules);

const lineKeys = map({
  pruner: list(choice(PRUNER_NAMES)),
  sparsity: list(fraction).optional(),
  large_sparse: map({ bottleneck: list(width) }).optional(),
  scope: list(choice(['global', 'local'])).optional(),
  scoring_rows: list(count).optional(),
  temperature: list(positive).optional(),
  rounds: list(whole(1, 10000)).optional(),
  schedule: list(choice(['exponential', 'linear'])).optional(),
  control: list(choice(['none', 'inverted', 'shuffled'])).optional(),
  reinitialize: list(z.boolean({ error: 'true or false' })).optional(),
  bottleneck: list(width).optional(),
  adapter: adapterChoices.optional(),
});

export type AdapterKeys = z.output<typeof adapter>;
export type CompareKeys = z.output<typeof lineKeys>;

type Problem = (key: string, message: string) => void;

/** Of the keys of one line together. What depends on the adapter as well is in check-compare.ts. */
export const compareLine = lineKeys.superRefine((line, context) => {
  const problem: Problem = (key, message) => context.addIssue({ code: 'custom', path: [key], message });
  const dense = line.pruner.filter((pruner) => pruner === 'none').length;
  if (dense > 0 && dense < line.pruner.length) {
    problem('pruner', 'none alone or pruners alone: give the dense adapter a line of its own');
  } else if (dense > 0) {
    checkDense(line, problem);
  } else {
    checkSparsity(line, problem);
  }
  checkUsed(line, problem);
  if (line.bottleneck !== undefined && line.adapter?.bottleneck !== undefined) {
    problem('bottleneck', 'given once: here or under adapter');
  }
});

function checkDense(line: CompareKeys, problem: Problem): void {
  for (const key of ['sparsity', 'large_sparse', 'control', 'reinitialize'] as const) {
    if (line[key] !== undefined) problem(key, 'left out where the pruner is none');
  }
}

function checkSparsity(line: CompareKeys, problem: Problem): void {
  if (line.large_sparse === undefined) {
    if (line.sparsity === undefined) problem('sparsity', 'given for a pruner: the fraction of weights to remove, in [0, 1)');
    return;
  }
  if (line.sparsity !== undefined) problem('sparsity', 'left out where large_sparse is given: it follows from the dense budget');
  if (line.scope?.includes('local')) problem('scope', 'global where large_sparse is given: the budget is one count');
  if (line.bottleneck !== undefined) problem('bottleneck', 'left out where large_sparse is given: it has the bottleneck');
  for (const key of ['bottleneck', 'attention_bottleneck', 'ffn_bottleneck'] as const) {
    if (line.adapter?.[key] !== undefined) problem('adapter', `without ${key} where large_sparse is given: it has the bottleneck`);
  }
}

function checkUsed(line: CompareKeys, problem: Problem): void {
  const used = (key: keyof typeof USED_BY) => line.pruner.some((pruner) => uses(pruner, key));
  for (const key of ['scoring_rows', 'temperature'] as const) {
    if (line[key] !== undefined && !used(key)) problem(key, `left out where no pruner is ${OR.format(USED_BY[key])}`);
  }
  if (!used('rounds')) {
    const without = `where no pruner is ${OR.format(USED_BY.rounds)}: the scores of the others are the same in every round`;
    if (line.rounds?.some((rounds) => rounds > 1)) problem('rounds', `1 or left out ${without}`);
    if (line.schedule !== undefined) problem('schedule', `left out ${without}`);
  }
  if (line.pruner.includes('er') && line.scope?.includes('local')) {
    problem('scope', "global where a pruner is er: it sets each matrix's density itself");
  }
}
