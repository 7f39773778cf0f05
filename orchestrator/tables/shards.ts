/** Parquet files that are published in parts: `train-00000-of-00003.parquet` and its siblings. */

const FIRST = /-0{5}-of-(\d{5})\.parquet$/;

/** The paths of all parts, given that of the first one; any other path is returned alone. */
export function listShards(path: string): string[] {
  const [ending, count] = FIRST.exec(path) ?? [];
  if (ending === undefined) return [path];
  const stem = path.slice(0, -ending.length);
  return Array.from(
    { length: Number(count) },
    (_, i) => `${stem}-${String(i).padStart(5, '0')}-of-${count}.parquet`,
  );
}
