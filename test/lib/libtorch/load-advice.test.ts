import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { explainLoadFailure } from '../../../lib/libtorch/load-advice';
import { temporaryFolder } from './support';

const folder = temporaryFolder();

describe('explainLoadFailure', () => {
  it.each([
    ["/lib/libc.so.6: version `GLIBC_2.28' not found (required by /a/b.node)", 'It needs GLIBC_2.28'],
    ["version `GLIBCXX_3.4.30' not found", 'It needs GLIBCXX_3.4.30'],
    ['Error loading shared library ld-linux-x86-64.so.2: No such file', 'this system has musl'],
    ['/a/b.node: wrong ELF class: ELFCLASS32', 'built for another platform'],
    ['/a/b.node: invalid ELF header', 'built for another platform'],
    ['\\\\?\\C:\\b.node is not a valid Win32 application.', 'built for another platform'],
    ['/a/libtorch_cpu.so: file too short', 'install it again'],
    ['libcudart.so.13: cannot open shared object file: No such file', "without NVIDIA's libraries"],
    ['libnvrtc.so.13: cannot open shared object file: No such file', "without NVIDIA's libraries"],
    ['libstdc++.so.6: cannot open shared object file: No such file', 'apt-get install libstdc++6'],
    ['libfoo.so.3: cannot open shared object file: No such file', 'It needs libfoo.so.3'],
    ['/a/libtorch_cpu.so: undefined symbol: at_thing', 'at_thing is missing'],
    ['/a/b.so: failed to map segment from shared object', 'noexec'],
    ['/a/b.so: Permission denied', 'may not read it'],
  ])('%s', (message, meaning) => {
    expect(explainLoadFailure(message)).toContain(meaning);
  });

  it('knows that a file which is there and cannot be opened is of another architecture', () => {
    const file = path.join(folder, 'b.node');
    const message = `${file}: cannot open shared object file: No such file or directory`;
    expect(explainLoadFailure(message)).toContain('It needs b.node');
    writeFileSync(file, '');
    expect(explainLoadFailure(message)).toContain('built for another platform');
  });

  it('adds nothing to what it does not know', () => {
    expect(explainLoadFailure('something else')).toBeNull();
  });
});
