export type ProgressMark = '✓' | '…' | '✗' | '!';

/** Tells one step of a set-up: done (✓), under way (…), broken (✗) or worth a look (!). */
export type OnProgress = (mark: ProgressMark, name: string, text: string) => void;
