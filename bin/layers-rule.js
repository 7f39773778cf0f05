/**
 * The eslint rule that enforces layers.js: a file imports only what its row allows, and every
 * folder has a row.
 */
const { join, posix, relative, sep } = require('node:path');
const { ANY, LAYERS } = require('../layers.js');

const root = join(__dirname, '..');

/**
 * The rows that a file belongs to, the most specific first: its own, its folder's, or the nearest
 * `/**` row above it.
 *
 * @param path of the file or, in an import, of the folder whose index it is; from the root, without
 *   the extension
 */
function findRows(path, layers) {
  const rows = [`${path}.ts`, path, posix.dirname(path)];
  for (let folder = path; folder !== '.'; folder = posix.dirname(folder)) rows.push(`${folder}/**`);
  const [first, ...others] = rows.filter((row) => Object.hasOwn(layers, row));
  // A file with a row of its own still belongs to its folder.
  return first?.endsWith('.ts') ? [first, ...others.slice(0, 1)] : [first].filter(Boolean);
}

/** Why this file may not import that, or undefined if it may. `file` is relative to the root. */
function findObjection(file, specifier, typesOnly, layers) {
  const [row] = findRows(withoutEnding(file), layers);
  if (row === undefined) return undefined; // The folder itself is reported, once.
  const { imports, types = [], packages } = layers[row];
  if (typesOnly && types === ANY) return undefined;
  if (!specifier.startsWith('.')) {
    const allowed = packages === ANY || packages.some((name) => isOfPackage(specifier, name));
    return allowed ? undefined : `${row} may not import the package ${specifier}: see layers.js`;
  }
  const path = withoutEnding(posix.join(posix.dirname(file), specifier));
  const targets = findRows(path, layers);
  if (targets.length === 0) return `${posix.dirname(path)} is not in layers.js`;
  const names = [`${path}.ts`, ...targets];
  const isIn = (list) => list === ANY || names.some((name) => list.includes(name));
  if (imports === ANY || isIn([row]) || isIn(imports)) return undefined;
  if (isIn(types))
    return typesOnly ? undefined : `${row} may import types of ${targets.at(-1)} only`;
  return `${row} may not import ${targets.at(-1)}: see layers.js`;
}

const withoutEnding = (path) => path.replace(/\.(ts|js|json)$/, '');

/** Whether a module belongs to a package; for `node:*`, whether it is one of Node's own. */
function isOfPackage(specifier, name) {
  if (name.endsWith('*')) return specifier.startsWith(name.slice(0, -1));
  return specifier === name || specifier.startsWith(`${name}/`);
}

const isTypesOnly = ({ importKind, exportKind, specifiers = [] }) =>
  importKind === 'type' ||
  exportKind === 'type' ||
  (specifiers.length > 0 && specifiers.every((each) => each.importKind === 'type'));

const layersRule = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const file = relative(root, context.filename).split(sep).join('/');
    const check = (node, source, typesOnly) => {
      if (typeof source?.value !== 'string') return;
      const message = findObjection(file, source.value, typesOnly, LAYERS);
      if (message !== undefined) context.report({ node, message });
    };
    const checkDeclaration = (node) => check(node, node.source, isTypesOnly(node));
    return {
      Program(node) {
        if (findRows(withoutEnding(file), LAYERS).length > 0) return;
        const message = `${posix.dirname(file)} is not in layers.js: add what it may import`;
        context.report({ node, message });
      },
      ImportDeclaration: checkDeclaration,
      ExportAllDeclaration: checkDeclaration,
      ExportNamedDeclaration: checkDeclaration,
      ImportExpression: (node) => check(node, node.source, false),
      TSImportType: (node) => check(node, node.source, true),
      'CallExpression[callee.name="require"]': (node) => check(node, node.arguments[0], false),
    };
  },
};

module.exports = { findObjection, findRows, layersRule };
