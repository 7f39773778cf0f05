/**
 * Which modules an adapter has, in the words of the published scripts: a mode and, for mode
 * `adapter`, an option that says where the module is. Pure.
 */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { ModuleRow } from '../../common/vocabulary/module-row';
import { filterWords, listWords, type Vocabulary } from '../../common/vocabulary/vocabulary';
import { ConfigError } from '../base/errors';
import { joinOr } from '../base/join-or';

type Modules = Vocabulary<string, ModuleRow>;

/** The mode for a module with down and up, and the default option. */
const ADAPTER_MODE = 'adapter';
const DEFAULT_OPTION = 'sequential';

/** Their options without a module here, and why. */
const NO_ATTENTION_MODULE: Record<string, string> = {
  cross_attn: 'is of prefixes, under compat official',
  cross_attn_noln: 'is of prefixes, under compat official',
  cross_attn_relu: 'is of prefixes, under compat official',
  none: 'is not allowed',
};
const NO_FFN_MODULE: Record<string, string> = { none: 'is not allowed' };

export const ATTN_MODES = [...listModes(ATTENTION_MODULES), 'bitfit', 'none'];
export const ATTN_OPTIONS = [
  ...listOptions(ATTENTION_MODULES),
  ...Object.keys(NO_ATTENTION_MODULE),
];
export const FFN_MODES = [...listModes(FFN_MODULES), 'none'];
export const FFN_OPTIONS = [...listOptions(FFN_MODULES), ...Object.keys(NO_FFN_MODULE)];

/**
 * The attention module; undefined if neither flag is given. The option alone implies mode adapter.
 * With another mode it is allowed, as in the scripts, but has no effect.
 */
export function chooseAttention(mode?: string, option?: string): string | undefined {
  const flag = { name: 'attn-option', refused: NO_ATTENTION_MODULE };
  return chooseModule(ATTENTION_MODULES, mode, option, flag);
}

/** The feed-forward module, in the same way. */
export function chooseFfn(mode?: string, option?: string): string | undefined {
  return chooseModule(FFN_MODULES, mode, option, { name: 'ffn-option', refused: NO_FFN_MODULE });
}

function chooseModule(
  modules: Modules,
  mode: string | undefined,
  option: string | undefined,
  flag: { name: string; refused: Record<string, string> },
): string | undefined {
  if (mode === undefined && option === undefined) return undefined;
  const named = filterWords(modules, ({ flags }) => flags.modes.includes(mode ?? ADAPTER_MODE));
  if (mode !== undefined && mode !== ADAPTER_MODE) return named[0];
  const asked = option ?? DEFAULT_OPTION;
  const word = named.find((each) => modules[each]!.flags.option === asked);
  if (word !== undefined) return word;
  const right = `${joinOr(listOptions(modules))} in mode adapter`;
  throw new ConfigError({
    where: `--${flag.name}`,
    message: `"${asked}" ${flag.refused[asked]}; must be ${right}`,
  });
}

function listModes(modules: Modules): string[] {
  const words = filterWords(modules, ({ form }) => form !== null);
  return [...new Set(words.flatMap((word) => modules[word]!.flags.modes))];
}

function listOptions(modules: Modules): string[] {
  return listWords(modules).flatMap((word) => modules[word]!.flags.option ?? []);
}
