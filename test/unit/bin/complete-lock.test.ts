import { readFileSync } from 'node:fs';
import { join } from 'node:path';
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { missingOptionals } = require('../../../bin/complete-lock.js') as {
  missingOptionals: (lock: unknown) => unknown[];
};

const text = readFileSync(join(__dirname, '../../../package-lock.json'), 'utf8');

describe('package-lock.json', () => {
  test('lists the optional packages of every platform for npm ci (else: npm run lock)', () => {
    expect(missingOptionals(JSON.parse(text))).toEqual([]);
  });

  test('records versions and hashes, and no address of a registry', () => {
    expect(text).not.toMatch(/"resolved"/);
    expect(text).not.toMatch(/https?:\/\/registry/);
  });
});
