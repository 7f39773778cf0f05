/**
 * Which connections go through the user's HTTP proxy: none to this machine, and the others as
 * gRPC's own variables say. Without this, `http_proxy` in a shell, set for downloads, would send
 * requests for a service on 127.0.0.1 to a proxy that cannot reach it.
 */
import { BlockList, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

type Env = Readonly<Record<string, string | undefined>>;

export interface Proxy {
  /** `host:port`. */
  address: string;
  username: string;
  password: string;
}

/** gRPC's variables, as `@grpc/grpc-js` reads them: the first that is set counts. */
const PROXY_VARIABLES = ['grpc_proxy', 'https_proxy', 'http_proxy'];
/** Unlike gRPC's libraries, in capitals, too: curl, pip and Go read either. */
const EXCEPTION_VARIABLES = ['no_grpc_proxy', 'no_proxy', 'NO_PROXY'];

/**
 * The proxy for a connection to `host:port` or `unix:/path`; undefined if it goes there directly,
 * or if the variable's value is not the URL of an HTTP proxy.
 */
export function findProxy(address: string, env: Env = process.env): Proxy | undefined {
  if (!mayUseProxy(address, env)) return undefined;
  const value = PROXY_VARIABLES.map((name) => env[name]).find(Boolean);
  try {
    const { protocol, hostname: host, port, username, password } = new URL(value ?? '');
    if (protocol !== 'http:') return undefined;
    return {
      address: `${host}:${port || '80'}`,
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    };
  } catch {
    return undefined;
  }
}

/** For a channel of `@grpc/grpc-js`, which otherwise asks the variables even for 127.0.0.1. */
export function proxyChannelOptions(
  address: string,
  env: Env = process.env,
): { 'grpc.enable_http_proxy': 0 | 1 } {
  return { 'grpc.enable_http_proxy': findProxy(address, env) === undefined ? 0 : 1 };
}

function mayUseProxy(address: string, env: Env): boolean {
  if (address.startsWith('unix:')) return false;
  const { host, port } = splitAddress(address);
  if (isThisMachine(host)) return false;
  const exceptions = EXCEPTION_VARIABLES.flatMap((name) => (env[name] ?? '').split(/[\s,]+/));
  return !exceptions.some((exception) => exception !== '' && matches(exception, host, port));
}

/** Reads `[::1]:7400`, `dns:///box:7400` and `https://box:7400` as well as `box:7400`. */
export function splitAddress(address: string): { host: string; port: string } {
  const bare = address.replace(/^(dns|ipv4|ipv6|https?):\/*/i, '').replace(/\/.*$/, '');
  if (isIP(bare) !== 0) return { host: bare, port: '' };
  const [, host = bare, port = ''] = /^(.*?)(?::(\d+))?$/.exec(bare) ?? [];
  return { host: host.replace(/^\[|\]$/g, '').toLowerCase(), port };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('0.0.0.0', 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
LOOPBACK.addAddress('::', 'ipv6');

/** Whether a host is this machine, by any of its names and addresses. */
function isThisMachine(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return /^(.*\.)?localhost\.?$/.test(host) || host === hostname().toLowerCase();
  if (LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6')) return true;
  return Object.values(networkInterfaces()).some((found) =>
    found?.some(({ address }) => address === host),
  );
}

/** An entry of `no_proxy`: `*`, a name with its subdomains, an address, or a block of them. */
function matches(exception: string, host: string, port: string): boolean {
  if (exception === '*') return true;
  const [, network = '', bits = ''] = /^([\d.]+|[\da-f:]+)\/(\d+)$/i.exec(exception) ?? [];
  if (isIP(network) !== 0) return isIP(network) === isIP(host) && isIn(host, network, Number(bits));
  const { host: name, port: only } = splitAddress(exception.replace(/^\*?\.(?=.)/, ''));
  if (only !== '' && only !== port) return false;
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}

function isIn(host: string, network: string, bits: number): boolean {
  const family = isIP(network) === 4 ? 'ipv4' : 'ipv6';
  if (bits > (family === 'ipv4' ? 32 : 128)) return false;
  const block = new BlockList();
  block.addSubnet(network, bits, family);
  return block.check(host, family);
}
