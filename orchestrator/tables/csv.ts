/** A record of a table as read from its format, before columns have a meaning. */
export interface TextRecord {
  /** The number of its first line, from 1. */
  number: number;
  cells: string[];
  /** What is wrong with the record itself; null if nothing is. */
  problem: string | null;
}

/**
 * Reads CSV as RFC 4180 describes it: commas between cells; a cell in double quotes may contain
 * commas, line ends and doubled quotes; records end in \n or \r\n. A quote inside an unquoted cell
 * is text. Empty lines are left out.
 *
 * A broken record is returned with its problem, and reading continues after it. A quote that is
 * never closed takes up the rest of the file.
 */
export function parseCsv(content: string): TextRecord[] {
  const records: TextRecord[] = [];
  let [position, line] = [0, 1];
  while (position < content.length) {
    const record: TextRecord = { number: line, cells: [], problem: null };
    for (let more = true; more;) {
      const cell = readCell(content, position);
      if (cell.problem !== null)
        record.problem ??= `the quote that opens on line ${line} ${cell.problem}; ${QUOTES}`;
      record.cells.push(cell.text);
      line += cell.lineEnds;
      more = content[cell.end] === ',';
      position = cell.end + (content.startsWith('\r\n', cell.end) ? 2 : 1);
    }
    line++;
    if (record.cells.length > 1 || record.cells[0] !== '' || record.problem !== null)
      records.push(record);
  }
  return records;
}

interface Cell {
  text: string;
  /** The place of the comma or line end after it; the content's length for the last cell. */
  end: number;
  lineEnds: number;
  problem: string | null;
}

function readCell(content: string, begin: number): Cell {
  if (content[begin] !== '"') {
    const end = endOfPlain(content, begin);
    return { text: content.slice(begin, end), end, lineEnds: 0, problem: null };
  }
  let close = content.indexOf('"', begin + 1);
  while (close !== -1 && content[close + 1] === '"') {
    close = content.indexOf('"', close + 2);
  }
  const inside = content.slice(begin + 1, close === -1 ? content.length : close);
  const text = inside.replaceAll('""', '"');
  const lineEnds = inside.split('\n').length - 1;
  if (close === -1) {
    return { text, end: content.length, lineEnds, problem: 'is never closed' };
  }
  const end = endOfPlain(content, close + 1);
  return {
    text,
    end,
    lineEnds,
    problem: end === close + 1 ? null : 'is closed before the end of its cell',
  };
}

const QUOTES = 'a quote inside a quoted cell must be written twice';
const PLAIN_END = /,|\r?\n|$/g;

/** The place of the next comma or line end. */
function endOfPlain(content: string, from: number): number {
  PLAIN_END.lastIndex = from;
  return PLAIN_END.exec(content)!.index;
}
