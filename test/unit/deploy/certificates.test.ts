/** `deploy/make-certificates.sh`: one authority, a certificate for each party. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEPLOY, findTool, runTool } from './manifests';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

const make = (...words: string[]) => runTool(join(DEPLOY, 'make-certificates.sh'), words);
const openssl = (...words: string[]) => runTool('openssl', words).output;
const at = (...names: string[]) => join(folder, ...names);

const describeOpenssl = findTool('openssl') === undefined ? describe.skip : describe;

describeOpenssl('certificates (openssl)', () => {
  test('a party’s certificate is for its hosts, as a server and as a client', () => {
    expect(make(folder, 'trainer', 'trainer', 'localhost')).toEqual({
      status: 0,
      output: `made ${at('authority')}\n` + `made ${at('trainer')} for trainer localhost\n`,
    });
    for (const purpose of ['sslserver', 'sslclient'])
      expect(
        openssl(
          ...['verify', '-purpose', purpose, '-verify_hostname', 'trainer'],
          ...['-CAfile', at('trainer', 'ca.pem'), at('trainer', 'cert.pem')],
        ),
      ).toBe(`${at('trainer', 'cert.pem')}: OK\n`);
    expect(
      openssl(
        ...['verify', '-verify_hostname', 'elsewhere'],
        ...['-CAfile', at('trainer', 'ca.pem'), at('trainer', 'cert.pem')],
      ),
    ).toMatch(/hostname mismatch/i);
    expect(statSync(at('trainer', 'key.pem')).mode & 0o077).toBe(0);
  });

  test('is for addresses, too', () => {
    make(folder, 'numbers', 'gpu-box', '10.0.0.7', '::1');
    const verify = ['verify', '-CAfile', at('numbers', 'ca.pem'), '-verify_ip'];
    for (const address of ['10.0.0.7', '::1'])
      expect(openssl(...verify, address, at('numbers', 'cert.pem'))).toMatch(/: OK\n$/);
    expect(openssl(...verify, '10.0.0.8', at('numbers', 'cert.pem'))).toMatch(/mismatch/);
  });

  test('a second run changes nothing; a new authority renews what it signs', () => {
    const before = readFileSync(at('trainer', 'cert.pem'), 'utf8');
    expect(make(folder, 'trainer', 'trainer', 'localhost')).toEqual({ status: 0, output: '' });
    expect(readFileSync(at('trainer', 'cert.pem'), 'utf8')).toBe(before);
    writeFileSync(at('authority', 'cert.pem'), 'expired');
    const { output } = make(folder, 'trainer', 'trainer');
    expect(output).toContain(
      `made ${at('authority')}: certificates of the earlier one are void\nmade ${at('trainer')}`,
    );
    expect(readFileSync(at('trainer', 'cert.pem'), 'utf8')).not.toBe(before);
  });

  test('says how it is used', () => {
    const { status, output } = make(folder, 'trainer');
    expect(output).toMatch(/^usage: .*make-certificates\.sh FOLDER PARTY HOST\.\.\.\n$/);
    expect(status).toBe(2);
  });
});
