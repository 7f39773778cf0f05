import {
  installerEnvironment,
  isolate,
  isolateOwn,
} from '../../../orchestrator/runtime/isolated-python';

test('the environment that we create needs nothing from outside', () => {
  const { path, args } = isolate('/cache/bin/python');
  expect(path).toBe('/cache/bin/python');
  expect(args.slice(0, -1)).toEqual(['-I', '-u', '-X', 'utf8']);
  expect(args.at(-1)).toMatch(/trainer\/torch\/isolated\.py$/);
});

test('a Python of one’s own keeps its PYTHONPATH, without what hangs on the folder', () => {
  const own = (text?: string) => isolateOwn('/opt/python', { PYTHONPATH: text }).args;
  expect(own().slice(0, 2)).toEqual(['-P', '-E']);
  expect(own('/modules/torch:/modules/grpc').slice(-2)).toEqual([
    '--python-path',
    '/modules/torch:/modules/grpc',
  ]);
  expect(own(':.:lib:/modules/torch:').at(-1)).toBe('/modules/torch');
  for (const text of [undefined, '', ':', '.', 'lib'])
    expect(own(text).at(-1)).toMatch(/isolated\.py$/);
});

test('it is the same from every folder', () => {
  expect(isolateOwn('venv/bin/python').path).toBe(`${process.cwd()}/venv/bin/python`);
  expect(isolateOwn('sh').path).toMatch(/^\/.*\/sh$/);
});

test('installers see indexes, proxies and certificates, and nothing that misleads them', () => {
  const kept = {
    ...{ PATH: '/bin', PYTHON: '/usr/bin/python3', https_proxy: 'http://proxy:1' },
    ...{ PIP_INDEX_URL: 'https://mirror', PIP_CERT: '/ca.pem', UV_DEFAULT_INDEX: 'https://mirror' },
  };
  const elsewhere = {
    ...{ PYTHONHOME: '/usr', PYTHONPATH: '/lib', PYTHONUSERBASE: '/home', PIP_USER: '1' },
    ...{ PIP_TARGET: '/lib', PIP_CONSTRAINT: '/etc/pip/constraint.txt', UV_SYSTEM_PYTHON: '1' },
    ...{ PIP_REQUIRE_VIRTUALENV: '1' },
  };
  expect(installerEnvironment({ ...kept, ...elsewhere })).toEqual({
    ...kept,
    PIP_USER: '0',
    PIP_REQUIRE_VIRTUALENV: '0',
  });
});
