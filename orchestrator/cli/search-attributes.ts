/** Makes a Temporal server able to search sweeps, if it is ours; finds out whether others are. */
import type { Connection } from '@temporalio/client';
import { encodeSearchAttributeIndexedValueType } from '@temporalio/common/lib/search-attributes';
import { SEARCH_ATTRIBUTES } from '../../workflows/search-attributes';
import type { Runtime } from '../runtime/up';

const ANSWER_MS = 5000;

/**
 * Whether the namespace has our search attributes. On a server that we run they are added; on
 * another one, whoever runs it may (docs/architecture.md).
 */
export async function canSearch(
  connection: Connection,
  { namespace, ui }: Runtime['temporal'],
): Promise<boolean> {
  const isOurs = ui !== null;
  try {
    return await connection.withDeadline(Date.now() + ANSWER_MS, async () => {
      const missing = await findMissing(connection, namespace);
      if (!isOurs || missing.length === 0) return missing.length === 0;
      const searchAttributes = Object.fromEntries(missing);
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
      return (await findMissing(connection, namespace)).length === 0;
    });
  } catch {
    // Servers for many users often allow nobody to ask. The sweep's memo says as much.
    return false;
  }
}

async function findMissing(connection: Connection, namespace: string) {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  return SEARCH_ATTRIBUTES.map(
    ({ name, type }) => [name, encodeSearchAttributeIndexedValueType(type)!] as const,
  ).filter(([name, type]) => customAttributes[name] !== type);
}
