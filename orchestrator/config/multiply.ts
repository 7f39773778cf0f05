/** The product of lists: a record for each combination, the last key varying fastest. Pure. */
export function multiply<Value>(
  lists: Readonly<Record<string, readonly Value[]>>,
): Record<string, Value>[] {
  let all: Record<string, Value>[] = [{}];
  for (const [key, values] of Object.entries(lists))
    all = all.flatMap((chosen) => values.map((value) => ({ ...chosen, [key]: value })));
  return all;
}
