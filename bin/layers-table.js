/** Prints the table of layers.js as docs/ shows it: `node bin/layers-table.js`. */
const { ANY, LAYERS } = require('../layers.js');

function renderLayers(layers = LAYERS) {
  const rows = Object.entries(layers).map(
    ([row, { holds, imports, types = [], packages }]) =>
      `| \`${row}\` | ${holds} | ${listRows(imports, types)} | ${listNames(packages)} |`,
  );
  return ['| folder | what is in it | may import | packages |', '|---|---|---|---|', ...rows].join(
    '\n',
  );
}

function listRows(imports, types) {
  if (types.length === 0) return listNames(imports);
  const ofTypes = `types of ${listNames(types)}`;
  return imports.length === 0 ? ofTypes : `${listNames(imports)}; ${ofTypes}`;
}

function listNames(names) {
  if (names === ANY) return 'all';
  return names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', ');
}

module.exports = { renderLayers };

if (require.main === module) console.log(renderLayers());
