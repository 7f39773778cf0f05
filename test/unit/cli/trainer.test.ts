import { describeOpenDoor, trainerCommand } from '../../../orchestrator/cli/trainer';

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
