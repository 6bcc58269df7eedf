import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { evaluateScript } from './support';

const folder = mkdtempSync(path.join(tmpdir(), 'tokenlearner-binary-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The complaints about a shared library made of this C code. */
function complaints(code: string, ...flags: string[]): string[] {
  const [source, library] = [path.join(folder, 'a.c'), path.join(folder, 'a.node')];
  writeFileSync(source, code);
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', source, '-o', library, ...flags], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return evaluateScript(
    'check-binary.mjs',
    `it.checkBinary(${JSON.stringify(library)}).complaints`,
  ) as string[];
}

const STRIPPED = ['-s', '-Wl,-rpath,$ORIGIN'];
const ENTRY = 'int napi_register_module_v1(void) { return 0; }';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('checkBinary', () => {
  it('accepts what asks for little', () => {
    expect(complaints(ENTRY, ...STRIPPED)).toEqual([]);
  });

  it('finds a symbol of a glibc above the floor', () => {
    // Every glibc has this name; no glibc has this version, which is all that is read.
    const versioned = `${ENTRY} __asm__(".symver late,late@GLIBC_9.9"); extern int late(void); int (*use)(void) __attribute__((visibility("hidden"))) = late;`;
    const stub = path.join(folder, 'late.so');
    const map = path.join(folder, 'late.map');
    writeFileSync(path.join(folder, 'late.c'), 'int late(void) { return 0; }');
    writeFileSync(map, 'GLIBC_9.9 { global: late; };');
    const made = spawnSync('cc', [
      '-shared',
      '-fPIC',
      path.join(folder, 'late.c'),
      `-Wl,--version-script=${map}`,
      '-Wl,-soname,libc.so.6',
      '-o',
      stub,
    ]);
    expect(made.status).toBe(0);
    expect(complaints(versioned, ...STRIPPED, stub)).toContain('late needs glibc 9.9');
  });

  it('finds what is exported, not stripped, and where it looks for libraries', () => {
    expect(complaints(`${ENTRY} int leak(void) { return 0; }`, ...STRIPPED)).toEqual(['exports leak']);
    expect(complaints(ENTRY, '-g', '-Wl,-rpath,$ORIGIN')).toContain('is not stripped');
    expect(complaints(ENTRY, '-s', '-Wl,-rpath,/usr/local/lib')).toEqual(['has the run path /usr/local/lib']);
  });

  it('finds a library that not every system has', () => {
    writeFileSync(path.join(folder, 'rare.c'), 'int rare(void) { return 0; }');
    const rare = path.join(folder, 'librare.so.1');
    spawnSync('cc', [
      '-shared',
      '-fPIC',
      path.join(folder, 'rare.c'),
      '-Wl,-soname,librare.so.1',
      '-o',
      rare,
    ]);
    expect(
      complaints(
        `${ENTRY} int rare(void); static int use(void) { return rare(); } int (*p)(void) __attribute__((visibility("hidden"))) = use;`,
        ...STRIPPED,
        rare,
      ),
    ).toContain('needs librare.so.1');
  });

  it('finds a binary for another processor', () => {
    complaints(ENTRY, ...STRIPPED);
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    const library = JSON.stringify(path.join(folder, 'a.node'));
    const found = evaluateScript('check-binary.mjs', `it.checkBinary(${library}, '${other}').complaints`);
    expect(found).toEqual([expect.stringMatching(new RegExp(`^is for .*, not for ${other}$`))]);
  });

  it('leaves local symbols out, which the table of an arm64 binary has', () => {
    const table = `
     1: 00000000000078f8     0 SECTION LOCAL  DEFAULT    9 .init
     2: 0000000000004000    12 FUNC    GLOBAL DEFAULT   11 leak`;
    const symbols = evaluateScript('check-binary.mjs', `it.parseSymbols(${JSON.stringify(table)})`);
    expect(symbols).toEqual([{ name: 'leak', version: '', defined: true, weak: false }]);
  });

  it('accepts musl, whose symbols have no versions', () => {
    writeFileSync(path.join(folder, 'musl.c'), 'int of_libc(void) { return 0; }');
    const libc = path.join(folder, 'libc.musl-x86_64.so.1');
    const stub = ['-nostdlib', '-Wl,-soname,libc.musl-x86_64.so.1', '-o', libc];
    spawnSync('cc', ['-shared', '-fPIC', path.join(folder, 'musl.c'), ...stub]);
    const code = `${ENTRY} int of_libc(void); int (*p)(void) __attribute__((visibility("hidden"))) = of_libc;`;
    expect(complaints(code, ...STRIPPED, '-nostdlib', libc)).toEqual([]);
  });

  it('finds a folder of this machine', () => {
    const root = path.resolve(__dirname, '..', '..');
    const code = `${ENTRY} const char* where __attribute__((visibility("hidden"))) = "${root}/native/a.cpp";`;
    expect(complaints(code, ...STRIPPED)).toContain(`names the folder ${root}`);
  });
});
