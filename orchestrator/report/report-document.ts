/** What report.md and report.html are made of. */

/** A line under a table, with the items that it lists. */
export interface Note {
  text: string;
  items: string[];
}

/** The content of report.md and report.html, as plain text that is not yet escaped for either. */
export interface ReportDocument {
  statement: string;
  title: string;
  facts: string[];
  howToRead: string;
  plot: Figure;
  /** How searched values were chosen; null without a search. */
  searchPlot: Figure | null;
  tables: { title: string; header: string[]; rows: string[][]; notes: Note[] }[];
  lists: { title: string; items: string[] }[];
}

export interface Figure {
  file: string;
  description: string;
}
