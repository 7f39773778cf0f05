/**
 * JSON with keys in code-unit order and no white space, so that equal values have equal text.
 * Numbers print as in JavaScript (RFC 8785). Undefined members are left out.
 *
 * @throws RangeError for NaN and infinities, which have no JSON
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
