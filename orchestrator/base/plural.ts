/** `1 trial`, `2 trials`. */
export function plural(count: number, noun: string): string {
  return `${count} ${inflect(count, noun)}`;
}

/** `trial` where there is one, else `trials`: for numbers that are written in another way. */
export function inflect(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}
