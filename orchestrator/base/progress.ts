export type ProgressMark = '✓' | '…' | '✗' | '!' | '·';

/**
 * Reports one step of a setup: done (✓), in progress (…), failed (✗) or worth a look (!), or a
 * detail of the step before (·).
 */
export type OnProgress = (mark: ProgressMark, name: string, text: string) => void;
