/** The adapter keys of a sweep file. */
import { z } from 'zod';
import { ACTIVATION_NAMES } from '../../common/vocabulary/activations';
import { ADAPTER_INIT_NAMES } from '../../common/vocabulary/adapter-inits';
import { ADAPTER_KIND_NAMES, ADAPTER_KINDS } from '../../common/vocabulary/adapter-kinds';
import { ADAPTER_NORM_NAMES } from '../../common/vocabulary/adapter-norms';
import { ATTENTION_MODULE_NAMES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULE_NAMES } from '../../common/vocabulary/ffn-modules';
import { PREFIX_USES } from '../../common/vocabulary/prefix-uses';
import { listWords } from '../../common/vocabulary/vocabulary';
import { axes, choice, map, positive, whole } from './schema-parts';

export const width = whole(1, 65536);

const adapterKeys = {
  kind: choice(ADAPTER_KIND_NAMES),
  attention: choice(ATTENTION_MODULE_NAMES),
  ffn: choice(FFN_MODULE_NAMES),
  bottleneck: width,
  attention_bottleneck: width,
  ffn_bottleneck: width,
  scale: positive,
  norm: choice(ADAPTER_NORM_NAMES),
  activation: choice(ACTIVATION_NAMES),
  init: choice(ADAPTER_INIT_NAMES),
  init_std: positive,
  lora_alpha: positive,
  prefix_hidden: whole(0, 65536),
  prefix_use: choice(listWords(PREFIX_USES)),
  learned_scale: z.literal(true, { error: 'true, or left out' }),
};

/** Refuses modules with a kind that trains parts of the backbone: the contract has no such pair. */
function checkModules(
  { kind, attention, ffn }: { kind?: unknown; attention?: unknown; ffn?: unknown },
  context: z.RefinementCtx,
): void {
  const unfrozen = ADAPTER_KIND_NAMES.find(
    (name) => ADAPTER_KINDS[name].unfrozen !== 'none' && [kind].flat().includes(name),
  );
  if (unfrozen === undefined) return;
  for (const [key, value] of Object.entries({ attention, ffn })) {
    if (value !== undefined)
      context.addIssue({
        code: 'custom',
        path: [key],
        message: `left out if the kind is ${unfrozen}`,
      });
  }
}

/** Each key may be a list. */
export const adapterAxes = map(axes(adapterKeys)).superRefine(checkModules);

export type AdapterAxes = z.output<typeof adapterAxes>;
/** The same with a single value of each. */
export type AdapterKeys = {
  [Key in keyof AdapterAxes]: NonNullable<AdapterAxes[Key]>[number] | undefined;
};
