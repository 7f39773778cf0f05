/** `512 B`, `3.1 kB`, `4.2 GB`. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 'B'];
  for (const larger of ['kB', 'MB', 'GB', 'TB']) {
    // 999.95 would be written as 1000.0.
    if (value < 999.95) break;
    [value, unit] = [value / 1000, larger];
  }
  return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`;
}
