import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from '../../../orchestrator/runtime/run-command';
import { makeCertificates } from '../../support/certificates';
import { catchError } from '../support/catch-error';
import {
  advertisedAddress,
  checkListener,
  describeOpenDoor,
  trainerCommand,
} from '../../../orchestrator/cli/trainer';

describe('a trainer that lets in anyone who reaches its port', () => {
  it.each([{ listen: '0.0.0.0:7400' }, { listen: '127.0.0.1:0' }])('says so: %j', (options) => {
    expect(describeOpenDoor(options)).toContain(`anyone who can reach ${options.listen} can run`);
  });

  it('has nothing to say behind client certificates, or on a socket', () => {
    expect(describeOpenDoor({ listen: '0.0.0.0:7400', tlsClientCa: 'ca.pem' })).toBeUndefined();
    expect(describeOpenDoor({ listen: 'unix:/run/t.sock' })).toBeUndefined();
  });

  it('is not the example of the help', () => {
    let help = '';
    trainerCommand()
      .configureOutput({ writeOut: (text) => (help += text) })
      .outputHelp();
    expect(help.split('Example:')[1]).toContain('--tls-client-ca');
  });
});

const withOpenssl = findOnPath('openssl') ? describe : describe.skip;
withOpenssl('(needs openssl) where a trainer listens is checked before it is set up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-trainer-tls-'));
  const file = (name: string) => join(folder, name);
  beforeAll(() => makeCertificates(folder));
  afterAll(() => rmSync(folder, { recursive: true }));
  const listen = '0.0.0.0:7400';
  const own = { listen, tlsCert: file('server.pem'), tlsKey: file('server.key') };

  it('and taken if its files fit', () => {
    expect(() => checkListener({ listen: 'unix:/t.sock' })).not.toThrow();
    expect(() => checkListener({ listen, insecure: true })).not.toThrow();
    expect(() => checkListener({ ...own, tlsClientCa: file('ca.pem') })).not.toThrow();
  });

  it.each([
    [{ listen }, '--listen 0.0.0.0:7400: TCP needs --tls-cert and --tls-key, or an explicit'],
    [{ listen, tlsCert: '/none' }, '--tls-cert and --tls-key go together, and --tls-key is not'],
    [{ ...own, tlsCert: '/none' }, '--tls-cert: cannot read /none: it does not exist'],
    [{ ...own, tlsClientCa: folder }, `--tls-client-ca: cannot read ${folder}: it is a folder`],
    [{ ...own, tlsCert: own.tlsKey }, 'server.key is not a certificate in PEM format'],
    [{ ...own, tlsKey: own.tlsCert }, 'server.pem is not a private key in PEM format'],
    [{ ...own, tlsKey: file('client.key') }, 'client.key is not the key of the certificate in'],
  ])('and refused with the option: %j', (options, message) => {
    expect(() => checkListener(options)).toThrow(message);
  });
});

describe('a trainer that registers itself', () => {
  it.each([
    [{ listen: '0.0.0.0:7400' }, 'node7:7400'],
    [{ listen: '[::]:7400' }, 'node7:7400'],
    [{ listen: 'box:7400' }, 'box:7400'],
    [{ listen: 'unix:/run/t.sock' }, 'unix:/run/t.sock'],
    [{ listen: '0.0.0.0:7400', advertise: 'gpu.lab:17400' }, 'gpu.lab:17400'],
  ])('says where others reach it: %j', (options, address) => {
    expect(advertisedAddress(options, 'node7')).toBe(address);
  });

  it('needs a port that is known before it listens', () => {
    expect(catchError(() => advertisedAddress({ listen: '0.0.0.0:0' }, 'node7'))).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('0 is not a port') as string,
      hint: expect.stringContaining('--advertise') as string,
    });
  });
});
