// `npm run lock`: run it after each `npm install <package>`. If a registry does not serve the
// optional packages of other platforms, npm drops them from package-lock.json, and `npm ci` then
// refuses the lock everywhere. This puts them back, with versions from the packages that want them
// and platforms from their names.
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const FILE = join(__dirname, '..', 'package-lock.json');
const SYSTEMS = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openharmony'];
/** Longer names first, because `arm` is part of `arm64`. */
const PROCESSORS = {
  aarch64: 'arm64',
  arm64: 'arm64',
  x64: 'x64',
  ia32: 'ia32',
  arm: 'arm',
  ppc64: 'ppc64',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
};

/** Optional packages that a lock's packages want but it does not list, as [key, entry]. */
function missingOptionals(lock) {
  const missing = [];
  for (const [folder, wanting] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(wanting.optionalDependencies ?? {})) {
      const listed = [`node_modules/${name}`, `${folder}/node_modules/${name}`].some(
        (key) => key in lock.packages,
      );
      if (listed || !/^\d/.test(version)) continue;
      const os = SYSTEMS.filter((system) => name.includes(system));
      const processor = Object.keys(PROCESSORS).find((word) => name.includes(`-${word}`));
      const cpu = processor ? [PROCESSORS[processor]] : undefined;
      missing.push([
        `node_modules/${name}`,
        { version, cpu, dev: wanting.dev, optional: true, os },
      ]);
    }
  }
  return missing;
}

module.exports = { missingOptionals };

if (require.main === module) {
  const lock = JSON.parse(readFileSync(FILE, 'utf8'));
  const missing = missingOptionals(lock);
  const byName = ([a], [b]) => a.localeCompare(b, 'en');
  lock.packages = Object.fromEntries([...Object.entries(lock.packages), ...missing].sort(byName));
  writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${missing.length} missing optional packages added`);
}
