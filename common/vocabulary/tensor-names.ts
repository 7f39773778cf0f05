/** Patterns of tensor names, as in Adapter.frozen and Adapter.unfrozen_tensors of job.proto. */

/** Whether one of the patterns, in which `*` stands for any characters, is the name. */
export function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`).test(name);
  });
}
