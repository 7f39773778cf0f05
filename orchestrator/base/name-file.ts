import { ConfigError } from './errors';

/** What ids look like. They begin with a letter, a digit or `_`: neither `.` nor `..` is one. */
const ID = /^\w[\w.-]{0,199}$/;

/**
 * The id as the name of a file or folder. Ids also come from workflows, which whoever reaches the
 * Temporal server can start, so they are checked where they become part of a path.
 *
 * @param field how the message calls the id
 * @throws ConfigError if it could name something outside its folder
 */
export function nameFile(field: string, id: string): string {
  if (typeof id === 'string' && ID.test(id)) return id;
  const shown = JSON.stringify(id) ?? 'undefined';
  throw new ConfigError({
    where: field,
    message:
      `${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown} is not an id; must be 1 to 200 of ` +
      "a-z, A-Z, 0-9, '_', '-' and '.', and begin with a letter, a digit or '_'",
  });
}
