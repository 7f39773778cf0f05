export type ProgressMark = '✓' | '…' | '✗' | '!';

/** Reports one step of a setup: done (✓), in progress (…), failed (✗) or worth a look (!). */
export type OnProgress = (mark: ProgressMark, name: string, text: string) => void;
