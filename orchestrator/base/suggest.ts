/** A word of fewer letters is the beginning of too many others to mean one. */
const MIN_BEGINNING = 3;

/**
 * The candidate that a mistyped or cut word most likely means: the shortest that begins with it,
 * else the nearest by edit distance (Damerau–Levenshtein, so a swap of neighbours counts once), at
 * most two fifths of the longer word away, and of equally near ones the one that begins most alike,
 * else the longest that it begins with. Returns null if there is none.
 */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const typed = word.toLowerCase();
  const known = candidates.map((candidate) => ({ candidate, lower: candidate.toLowerCase() }));
  const longer = known.filter(
    ({ lower }) => typed.length >= MIN_BEGINNING && lower.startsWith(typed),
  );
  const shorter = known.filter(
    ({ lower }) => lower.length >= MIN_BEGINNING && typed.startsWith(lower),
  );
  const near = known
    .map((each) => ({ ...each, distance: editDistance(typed, each.lower) }))
    .filter(({ distance, lower }) => distance <= allowedEdits(typed, lower))
    .sort(
      (a, b) =>
        a.distance - b.distance || sharedStart(typed, b.lower) - sharedStart(typed, a.lower),
    );
  const best =
    longer.sort((a, b) => a.lower.length - b.lower.length)[0] ??
    near[0] ??
    shorter.sort((a, b) => b.lower.length - a.lower.length)[0];
  return best?.candidate ?? null;
}

const allowedEdits = (a: string, b: string) =>
  Math.max(1, Math.floor(0.4 * Math.max(a.length, b.length)));

/** How many letters are the same from the start. */
function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** `; did you mean "x"?`, or an empty string. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === null ? '' : `; did you mean "${near}"?`;
}

function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(previous[j]! + 1, current[j - 1]! + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      }
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}
