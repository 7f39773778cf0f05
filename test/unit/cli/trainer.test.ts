import { catchError } from '../support/catch-error';
import {
  advertisedAddress,
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
