/** Why no connection to a trainer came about, as far as its port tells. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { findProxy, splitAddress } from '../../common/proxies';
import { UserError } from '../base/errors';
import { CLIENT_TLS, findTls, type TlsFiles } from '../trainer-client/channel';

/** A port that is open answers at once; one behind a firewall, never. */
const LOOK_MS = 2000;

const VARIABLES = Object.values(CLIENT_TLS).join(', ');

/** What an address is, seen without credentials. */
type Port = 'closed' | 'plain' | 'tls';

/**
 * The error for a trainer to which a connection failed. It says that TLS is the reason only where
 * the port itself shows it.
 */
export async function explainUnreachable(
  { address, tls = findTls(address) }: { address: string; tls?: TlsFiles },
  why: string,
): Promise<UserError> {
  const port = await lookAt(address);
  if (port === 'closed') return noAnswer(address, why);
  const files = Object.entries(CLIENT_TLS).flatMap(([part, name]) => {
    const file = tls?.[part as keyof typeof CLIENT_TLS];
    return file ? [`${name}=${file}`] : [];
  });
  const refuse = (what: string, hint: string): UserError =>
    new UserError(`something listens at ${address}, but ${what} (${why})`, 3, hint);
  if (port === 'tls' && files.length === 0)
    return refuse(
      'it speaks TLS, and no TLS files are set here',
      `Set ${CLIENT_TLS.ca} to the authority of the trainer's certificate and, for a trainer ` +
        `with --tls-client-ca, ${CLIENT_TLS.cert} and ${CLIENT_TLS.key} to a certificate from ` +
        'that authority. A trainer with --insecure needs none.',
    );
  if (port === 'tls')
    return refuse(
      `no TLS connection came about with ${files.join(', ')}`,
      `${CLIENT_TLS.ca} must be the authority that signed the trainer's --tls-cert, which must ` +
        'be made out to the host of this address. For a trainer with --tls-client-ca, ' +
        `${CLIENT_TLS.cert} and ${CLIENT_TLS.key} must be from that authority.`,
    );
  if (files.length > 0)
    return refuse(
      `it does not speak TLS, for which ${files.join(', ')} ${files.length === 1 ? 'asks' : 'ask'}`,
      `Unset ${VARIABLES} for a trainer with --insecure, or give it --tls-cert and --tls-key.`,
    );
  return refuse('no connection to a trainer came about', 'Is it a trainer? Its log says more.');
}

/** The error for a trainer from which nothing came. */
export const noAnswer = (address: string, why: string): UserError =>
  new UserError(
    `the trainer at ${address} does not answer (${why})`,
    3,
    'Is it running there? `sa-orch trainer` starts one.',
  );

/** Behind a proxy, and at a socket, nothing is looked at: a socket has no TLS. */
async function lookAt(address: string): Promise<Port> {
  if (address.startsWith('unix:') || findProxy(address) !== undefined) return 'closed';
  const { host, port: text } = splitAddress(address);
  const port = Number(text);
  if (!(await opens(connectTcp({ host, port }), 'connect'))) return 'closed';
  // gRPC in C refuses whoever does not ask for HTTP/2.
  const tls = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  return (await opens(tls, 'secureConnect')) ? 'tls' : 'plain';
}

/** Whether a connection comes about in time; it is closed then. */
function opens(socket: Socket, event: 'connect' | 'secureConnect'): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isOpen: boolean) => () => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(LOOK_MS, end(false));
    socket.once(event, end(true));
    socket.once('error', end(false));
    socket.once('close', end(false));
  });
}
