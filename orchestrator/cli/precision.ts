/** What `start`, `run` and `plan` print about a sweep's precision. */
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { DefaultPrecision } from '../trainer-client/capabilities';
import type { OnProgress } from '../base/progress';

/**
 * Prints one line, or none for float32 on a CPU.
 *
 * @param asked the precision that the user requested; null for none
 */
export function sayPrecision(
  asked: PrecisionName | null,
  standard: DefaultPrecision,
  onProgress: OnProgress,
): void {
  const text = asked === null ? ofDefault(standard) : ofChoice(asked, standard);
  if (text !== null) onProgress('✓', 'precision', text);
}

function ofDefault({ precision, unlisted }: DefaultPrecision): string | null {
  if (unlisted !== null)
    return `${precision}: this trainer has no ${unlisted}, the default on a GPU`;
  return precision === 'float32'
    ? null
    : `${precision} (the default on a GPU; --precision float32 for IEEE single precision)`;
}

function ofChoice(asked: PrecisionName, { precision }: DefaultPrecision): string | null {
  if (asked !== precision) return `${asked}, as requested; the default here is ${precision}`;
  return asked === 'float32' ? null : `${asked}, as requested`;
}
