#!/usr/bin/env node
// Starts the command line, and builds it first if it is missing or older than its sources.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`error: sa-orch needs Node 20.19 or newer; this is ${process.versions.node}`);
  process.exit(2);
}

const { join } = require('node:path');

async function main() {
  const { build, isBuilt } = require('./build.js');
  if (!isBuilt()) {
    const start = Date.now();
    process.stderr.write('… building               once after each change to the sources\n');
    await build();
    process.stderr.write(
      `✓ built                  in ${((Date.now() - start) / 1000).toFixed(0)} s\n`,
    );
  }
  process.setSourceMapsEnabled(true);
  require(join(__dirname, '..', 'dist', 'orchestrator', 'cli', 'main.js'));
}

main().catch((error) => {
  // What a missing module says has many lines about who asked for it.
  const [first] = error.message.split('\nRequire stack');
  console.error(`error: ${first}`);
  if (error.code === 'MODULE_NOT_FOUND') console.error('  Run `npm ci` in the clone.');
  if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) {
    console.error('  Build it as a user who may write to the clone: node bin/build.js');
    process.exitCode = 2;
  } else process.exitCode = 1;
});
