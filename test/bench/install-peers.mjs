/**
 * The peers that this package is measured against, in a folder of their own: onnxruntime-node from peers/package-lock.json, and a Python
 * environment from test/fixtures/generate/requirements.txt.
 *
 *     node test/bench/install-peers.mjs [onnxruntime] [torch]
 *
 * installs onnxruntime-node alone, for the test of docs/interop.md; with `torch`, a Python with torch and numpy alone in build/aoti-python, for the
 * tests of compiled programs.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pythonSucceeds, runPython, systemPython } from '../../scripts/python-env.mjs';
import {
  hashInputs,
  isFresh,
  isMain,
  main,
  markFresh,
  markStale,
  root,
  runNpm,
  say,
  SetupError,
} from '../../scripts/tools.mjs';

const FOLDER = path.join(root, 'build', 'bench-peers');
const NODE_FOLDER = path.join(FOLDER, 'node');
const PYTHON_FOLDER = path.join(FOLDER, 'python');
const PROGRAM = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python'];
const PYTHON = path.join(PYTHON_FOLDER, ...PROGRAM);
const TORCH_FOLDER = path.join(root, 'build', 'aoti-python');
/** What torch's compiler needs of the requirements. */
const TORCH_PACKAGES =
  /^(?:torch|numpy|filelock|fsspec|jinja2|markupsafe|mpmath|networkx|setuptools|sympy|typing_extensions)==/i;
const REQUIREMENTS = 'test/fixtures/generate/requirements.txt';
const NODE_PEERS = ['package.json', 'package-lock.json'].map((name) => `test/bench/peers/${name}`);

const PEERS = {
  onnxruntime: { stamp: 'bench-onnxruntime', inputs: NODE_PEERS, install: installNodePeers },
  python: { stamp: 'bench-python', inputs: [REQUIREMENTS], install: installPythonPeers },
  torch: { stamp: 'aoti-python', inputs: [REQUIREMENTS], install: installTorch },
};

/**
 * {onnxruntime, python}: the folder with node_modules and the interpreter, null for a peer that is missing. With `install`, a missing peer is
 * installed; a peer that cannot be installed is reported and left out.
 */
export function ensurePeers({ install }) {
  return {
    onnxruntime: ensure('onnxruntime', install) ? NODE_FOLDER : null,
    python: ensure('python', install) ? PYTHON : null,
  };
}

function ensure(name, mayInstall) {
  const { stamp, inputs, install } = PEERS[name];
  const wanted = hashInputs(inputs);
  if (existsSync(FOLDER) && isFresh(stamp, wanted)) return true;
  if (!mayInstall) {
    say(`The ${name} peers are not installed and are left out; \`npm run bench\` installs them`);
    return false;
  }
  markStale(stamp);
  try {
    install();
    markFresh(stamp, wanted);
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`The ${name} peers are left out: ${error.message}`);
    return false;
  }
}

function installNodePeers() {
  say('Installing onnxruntime-node into build/bench-peers');
  mkdirSync(NODE_FOLDER, { recursive: true });
  for (const file of NODE_PEERS) {
    copyFileSync(path.join(root, file), path.join(NODE_FOLDER, path.basename(file)));
  }
  // Its CPU library is in the package; the install script would fetch the one for CUDA.
  runNpm(['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: NODE_FOLDER });
}

function installPythonPeers() {
  say('Installing PyTorch and onnxruntime for Python into build/bench-peers');
  installPython(PYTHON_FOLDER, ['--requirement', path.join(root, REQUIREMENTS)]);
}

function installTorch() {
  say('Installing PyTorch for Python into build/aoti-python');
  const lines = readFileSync(path.join(root, REQUIREMENTS), 'utf8').split('\n');
  installPython(
    TORCH_FOLDER,
    lines.filter((line) => TORCH_PACKAGES.test(line)),
  );
}

/** Makes a Python environment of packages, which are all named: without --no-deps a bare requirement of torch's could bring the CUDA libraries. */
function installPython(folder, packages) {
  const python = systemPython();
  if (!pythonSucceeds(python, ['-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11)'])) {
    throw new SetupError(
      `${python ?? 'Python'} 3.11 or later with its venv module is missing. On Debian and Ubuntu: apt-get install python3 python3-venv`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  runPython(python, ['-m', 'venv', folder]);
  const own = path.join(folder, ...PROGRAM);
  const pip = [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '2'],
    ...['--no-deps', ...packages],
  ];
  if (!pythonSucceeds(own, pip)) runPython(own, [...pip, '--extra-index-url', torchIndex()]);
}

/** PyTorch's own index, which has the CPU builds that others do not keep. */
function torchIndex() {
  const manifest = readFileSync(path.join(root, 'lib', 'libtorch', 'manifest.json'), 'utf8');
  return /"index": "([^"]+\/cpu)"/.exec(manifest)[1];
}

if (isMain(import.meta.url)) {
  await main(() => {
    const names = process.argv.slice(2);
    for (const name of names.length > 0 ? names : ['onnxruntime']) {
      if (!Object.hasOwn(PEERS, name)) throw new SetupError(`There is no peer ${name}`);
      ensure(name, true);
    }
  });
}
