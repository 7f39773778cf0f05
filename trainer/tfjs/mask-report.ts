/** What a trial's result says of its masks. */
import type { JobContext } from '../host/engine';
import type { Layout } from './layout';

/** The counts of a result, by the budget's rule. Warns of matrices that keep no weight. */
export function reportMasks(
  context: JobContext,
  trialId: string,
  layout: Layout,
  masks: Readonly<Record<string, { data: Uint8Array }>>,
): Record<string, number> {
  const counts = Object.entries(masks).map(([name, { data }]) => ({
    name,
    kept: data.reduce((sum, value) => sum + value, 0),
  }));
  const emptied = counts.filter(({ kept }) => kept === 0).map(({ name }) => name);
  if (emptied.length > 0) {
    const message = `no weight was kept in ${shorten(emptied, 8, ', ')}`;
    context.emit({ $case: 'warning', value: { trialId, code: 'layers_emptied', message } });
  }
  const kept = counts.reduce((sum, each) => sum + each.kept, 0);
  return {
    // Nothing is removed from an adapter without matrices.
    achieved_sparsity: layout.prunable > 0 ? 1 - kept / layout.prunable : 0,
    kept: kept + layout.adapter - layout.prunable,
    prunable: layout.prunable,
    trainable: layout.adapter,
    head: layout.head,
  };
}

/** Tells what is doubtful about a mask's scores. */
export function warnOfDoubts(context: JobContext, trialId: string, doubts: string[]): void {
  if (doubts.length === 0) return;
  const message = shorten(doubts, 4, '; ');
  context.emit({ $case: 'warning', value: { trialId, code: 'degenerate_scores', message } });
}

function shorten(parts: readonly string[], most: number, between: string): string {
  const more = parts.length > most ? ` and ${parts.length - most} more` : '';
  return `${parts.slice(0, most).join(between)}${more}`;
}
