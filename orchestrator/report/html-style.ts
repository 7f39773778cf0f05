/**
 * How report.html looks. At 1,200 px nothing scrolls sideways: figures shrink to the page, the
 * first and the last cell of a row break wherever they must, and all cells of a table with many
 * columns, or long heads, wrap. Only the numbers of other tables stay on one line.
 */
export const STYLE = [
  ':root{color-scheme:light dark;--ink:#1f2328;--ground:#fff;--line:#d8dee4;--faint:#f6f8fa}',
  '@media (prefers-color-scheme:dark){:root{' +
    '--ink:#e6edf3;--ground:#0d1117;--line:#30363d;--faint:#161b22}}',
  'body{margin:2rem auto;max-width:72rem;padding:0 1rem;font:15px/1.5 ' +
    'system-ui,sans-serif;color:var(--ink);background:var(--ground)}',
  'li,summary,h1,h2,h3{overflow-wrap:anywhere}h3{font-size:1rem}',
  'figure{margin:1.5rem 0}figure svg{max-width:100%;height:auto}',
  '.table{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}',
  'th,td{padding:.3rem .6rem;border:1px solid var(--line);text-align:right}' +
    'td{white-space:nowrap}th{background:var(--faint)}',
  'th:first-child,td:first-child,th:last-child,td:last-child{text-align:left;' +
    'white-space:normal;overflow-wrap:anywhere;min-width:6rem}',
  '.wide th,.wide td{padding:.2rem .3rem;font-size:.85rem}.wide td{white-space:normal}' +
    '.wide th{overflow-wrap:anywhere;hyphens:auto;min-width:2.6rem}',
  'details{margin:.7rem 0}summary{cursor:pointer;font-weight:600}',
].join('\n');
