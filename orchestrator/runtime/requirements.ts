/**
 * Reads requirement files with hashes: `name==version ; marker \` and indented `--hash=…` lines, as
 * `uv pip compile` writes them.
 */

export interface Requirement {
  /** Lower case, with `-`. */
  name: string;
  version: string;
  /** The entry as in the file, hashes included. */
  text: string;
}

export function parseRequirements(content: string): Requirement[] {
  const entries = content.split('\n').reduce<string[]>((found, line) => {
    if (line.startsWith('#') || line.trim() === '') return found;
    if (/^\s/.test(line)) found.push(`${found.pop() ?? ''}\n${line}`);
    else found.push(line);
    return found;
  }, []);
  return entries.map((text) => {
    const [, name, version] = /^([A-Za-z0-9._-]+)==([^\s;\\]+)/.exec(text) ?? [];
    if (name === undefined || version === undefined)
      throw new Error(`not a pinned requirement: ${text.split('\n', 1)[0]}`);
    return { name: name.toLowerCase().replaceAll(/[_.]/g, '-'), version, text };
  });
}

/** Whether only PyTorch's CUDA build needs this package; the CPU build needs all others. */
export function isCudaOnly(name: string): boolean {
  return name.startsWith('nvidia-') || name.startsWith('cuda-') || name === 'triton';
}
