/**
 * Items by key, keys and items in the order in which they come. (Map.groupBy needs Node 21.) Each
 * group is one array that grows: copying it for each item would cost thousands of trials squared.
 */
export function groupBy<Item, Key>(
  items: Iterable<Item>,
  key: (item: Item) => Key,
): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
