import { hostname, networkInterfaces } from 'node:os';
import { findProxy, proxyChannelOptions } from '../../../common/proxies';

const PROXY = { http_proxy: 'http://proxy.lan:3128' };
const usesProxy = (address: string, env: Record<string, string>): boolean =>
  proxyChannelOptions(address, env)['grpc.enable_http_proxy'] === 1;

describe('a connection to this machine', () => {
  const own = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  const variables = ['grpc_proxy', 'https_proxy', 'http_proxy', 'all_proxy'];
  const everything = Object.fromEntries(
    variables.flatMap((name) => [
      [name, PROXY.http_proxy],
      [name.toUpperCase(), PROXY.http_proxy],
    ]),
  );

  test.each([
    'unix:/tmp/t.sock',
    'localhost:7233',
    'LOCALHOST:7233',
    'trainer.localhost:7400',
    '127.0.0.1:7233',
    '127.3.4.5:1',
    '0.0.0.0:7400',
    '[::1]:7400',
    'ipv4:127.0.0.1:7400',
    'dns:///localhost:7400',
    `${hostname()}:7400`,
    ...own.map(({ address, family }) => (family === 'IPv6' ? `[${address}]:1` : `${address}:1`)),
  ])('never goes through a proxy: %s', (address) => {
    expect(usesProxy(address, everything)).toBe(false);
  });
});

describe('a connection to another machine', () => {
  test('goes through the proxy that gRPC knows, the most specific first', () => {
    expect(findProxy('box:1', PROXY)).toEqual({
      address: 'proxy.lan:3128',
      username: '',
      password: '',
    });
    const both = { ...PROXY, https_proxy: 'http://other.lan' };
    expect(findProxy('box:1', both)?.address).toBe('other.lan:80');
    expect(findProxy('box:1', { ...both, grpc_proxy: 'http://me:s%40@third:1' })).toEqual({
      address: 'third:1',
      username: 'me',
      password: 's@',
    });
    expect(findProxy('box:1', {})).toBeUndefined();
    // As gRPC's libraries, and curl for http_proxy, do.
    expect(findProxy('box:1', { HTTP_PROXY: PROXY.http_proxy })).toBeUndefined();
  });

  test.each(['no_proxy', 'NO_PROXY', 'no_grpc_proxy'])('obeys %s', (name) => {
    const withExceptions = (text: string) => ({ ...PROXY, [name]: text });
    for (const [address, text, direct] of [
      ['box.lan:7400', 'box.lan', true],
      ['box.lan:7400', 'example.com, lan', true],
      ['box.lan:7400', '.lan', true],
      ['box.lan:7400', '*.lan', true],
      ['box.lan:7400', '*', true],
      ['box.lan:7400', 'BOX.lan:7400', true],
      ['box.lan:7400', 'box.lan:7401', false],
      ['toolbox.lan:7400', 'box.lan', false],
      ['box.lan:7400', ',', false],
      ['box.lan:7400', '', false],
      ['10.1.2.3:7400', '10.0.0.0/8', true],
      ['10.1.2.3:7400', '10.1.2.3', true],
      ['11.1.2.3:7400', '10.0.0.0/8', false],
      ['11.1.2.3:7400', '10.0.0.0/99', false],
      ['210.1.2.3:7400', '10.1.2.3', false],
      ['[fd00::7]:7400', 'fd00::/16', true],
      ['[fd00::7]:7400', 'fd00::7', true],
      ['[fe00::7]:7400', 'fd00::/16', false],
      ['box.lan:7400', 'fd00::/16', false],
    ] as const)
      expect([address, text, !usesProxy(address, withExceptions(text))]).toEqual([
        address,
        text,
        direct,
      ]);
  });

  test.each([
    'proxy.lan:3128',
    'socks5://proxy.lan',
    'http://',
    '%',
    'http://a b',
    'http://me:%zz@proxy.lan',
  ])('is direct if the variable names no HTTP proxy: %s', (value) =>
    expect(findProxy('box:1', { http_proxy: value })).toBeUndefined(),
  );
});
