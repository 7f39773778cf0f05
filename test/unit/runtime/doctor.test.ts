/** What `sa-orch doctor` finds. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { examine } from '../../../orchestrator/runtime/doctor';
import { writeProgram, writePython } from '../support/programs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-doctor-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('doctor', () => {
  it('names what is broken and what to do, and changes nothing', async () => {
    const state = join(folder, 'state');
    const findings = await examine({
      stateDir: state,
      root: join(folder, 'root'),
      dataDir: '/none',
      python: '/none/python',
    });
    expect(existsSync(state)).toBe(false);
    const broken = findings.filter((finding) => finding.state === 'broken');
    expect(broken.map(({ name }) => name)).toEqual(['trainer torch', 'data']);
    expect(broken.every(({ advice }) => advice !== null)).toBe(true);
  });

  it('names what each trainer lacks and the remedy; only both lacking ends a start', async () => {
    const look = async () => {
      const findings = await examine({
        stateDir: folder,
        root: folder,
        dataDir: undefined,
        python: undefined,
      });
      return Object.fromEntries(findings.map(({ name, ...finding }) => [name, finding]));
    };
    const outside = process.env;
    process.env = { PATH: folder, XDG_CACHE_HOME: join(folder, 'cache') };
    try {
      expect(await look()).toMatchObject({
        temporal: {
          state: 'broken',
          advice: expect.stringContaining('apt install python3-pip') as string,
        },
        'trainer torch': {
          state: 'broken',
          advice: expect.stringContaining('Install a Python in that range') as string,
        },
        'trainer tfjs': {
          state: 'broken',
          advice: expect.stringMatching(/apt install npm\).*g\+\+.*make.*python3\)/s) as string,
        },
        backbone: { state: 'note', advice: expect.stringContaining('--backbone') as string },
      });
      for (const tool of ['npm', 'g++', 'make']) writeProgram(folder, tool, '');
      writePython(folder, 'python3', [3, 8, 10], false);
      expect(await look()).toMatchObject({
        'trainer torch': {
          state: 'note',
          text: expect.stringMatching(/python3 is 3\.8\.10; `start` uses tfjs$/) as string,
        },
        'trainer tfjs': {
          text: expect.stringContaining(
            'will be built on the first start with --framework tfjs',
          ) as string,
        },
      });
      writePython(folder, 'python3', [3, 12, 3], true);
      rmSync(join(folder, 'g++'));
      expect(await look()).toMatchObject({
        'trainer torch': {
          state: 'fine',
          text: expect.stringContaining('will be created on first start') as string,
        },
        'trainer tfjs': {
          state: 'note',
          advice: 'a C++ compiler is not on PATH (Debian, Ubuntu: apt install g++)',
        },
      });
    } finally {
      process.env = outside;
    }
  });
});
