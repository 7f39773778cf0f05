/**
 * JSON with keys in code-unit order and no white space: equal values have equal text, whoever wrote
 * them. Numbers print as JavaScript prints them (RFC 8785). Undefined members are left out; NaN and
 * infinities have no text and throw a RangeError.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    const parts = members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${parts.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError(`${value} has no canonical JSON`);
  }
  return JSON.stringify(value);
}
