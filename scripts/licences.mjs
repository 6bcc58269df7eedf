/**
 * The licences of everything in the packages: THIRD-PARTY.md, and a CycloneDX bill of materials. `npm sbom` lists the npm packages; the parts
 * that are compiled or linked into the addon, which npm does not know, are listed here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { npm } from './npm-pack.mjs';
import { root, SetupError } from './tools.mjs';

/** Compiled or linked into the addon, or data in the package. */
const LINKED = [
  {
    name: 'node-addon-api',
    licence: 'MIT',
    package: 'node-addon-api',
    use: 'headers, compiled into the addon',
  },
  {
    name: 'libstdc++',
    licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    use: 'linked into the addon for Linux',
  },
  {
    name: 'libc++, libc++abi, libunwind, compiler-rt',
    licence: 'Apache-2.0 WITH LLVM-exception',
    use: 'linked into the addon for musl, where zig has built it',
  },
  {
    name: 'CUDA runtime (cudart_static)',
    licence: 'LicenseRef-NVIDIA-CUDA-EULA',
    use: 'linked into the addon where it has CUDA kernels',
    cudaOnly: true,
  },
  {
    name: 'PyTorch stable ABI headers',
    licence: 'BSD-3-Clause',
    use: 'headers, compiled into the addon',
  },
  {
    name: 'Pillow (Resample.c)',
    licence: 'MIT-CMU',
    use: 'its arithmetic, in the resize of Tensor.fromImage; © 1997-2011 Secret Labs AB, 1995-2011 Fredrik Lundh and contributors, 2010 Jeffrey A. Clark and contributors',
  },
  {
    name: 'Aileron (@fontsource/aileron 5.3.0)',
    licence: 'CC0-1.0',
    use: 'its outlines, in lib/visualize/glyphs.json',
  },
  {
    name: 'matplotlib (viridis, magma, inferno, coolwarm)',
    licence: 'CC0-1.0 AND LicenseRef-Matplotlib',
    use: 'colours of its maps, in lib/visualize/colormap.ts',
  },
];

/** npm's bill of materials of this package and its runtime dependencies, out of package-lock.json. */
function npmBill() {
  const options = ['--sbom-format=cyclonedx', '--package-lock-only', '--omit=dev', '--omit=optional'];
  const { status, stdout, stderr } = npm(['sbom', ...options], { cwd: root });
  if (status !== 0) throw new SetupError(`npm sbom failed:\n${stderr}`);
  return withoutWorkspaces(JSON.parse(stdout));
}

/** The part of npm's bill that the main package needs: npm adds the workspaces, which are packages of their own, and cannot leave them out here. */
export function withoutWorkspaces(bill) {
  const edges = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const isWorkspace = (ref) => ref.startsWith('@tokenlearner/');
  const reached = new Set();
  const visit = (ref) => {
    if (reached.has(ref) || isWorkspace(ref)) return;
    reached.add(ref);
    for (const next of edges.get(ref) ?? []) visit(next);
  };
  visit(bill.metadata.component['bom-ref']);
  return {
    ...bill,
    components: bill.components.filter((each) => reached.has(each['bom-ref'])),
    dependencies: bill.dependencies
      .filter(({ ref }) => reached.has(ref))
      .map((each) => ({ ...each, dependsOn: each.dependsOn.filter((ref) => reached.has(ref)) })),
  };
}

/** The npm packages that a user gets with this one: name, version, licence. */
export function runtimeDependencies({ components } = npmBill()) {
  return components.map(({ name, version, licenses = [] }) => {
    const licence = licenses.map((each) => each.expression ?? each.license.id ?? each.license.name)[0];
    if (licence === undefined) throw new SetupError(`${name} ${version} states no licence`);
    return { name, version, licence };
  });
}

function licenceText(folder) {
  const name = readdirSync(path.join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
  return name === undefined ? null : readFileSync(path.join(root, folder, name), 'utf8').trim();
}

/** THIRD-PARTY.md: the parts compiled into the addon, and the npm packages that come beside it. */
export function thirdPartyNotice({ cuda }) {
  const linked = LINKED.filter((each) => cuda || !each.cudaOnly);
  const rows = [
    ...linked.map(({ name, licence, use }) => [name, licence, use]),
    ...runtimeDependencies().map(({ name, version, licence }) => [
      `${name} ${version}`,
      licence,
      'dependency',
    ]),
  ];
  const texts = linked
    .filter((each) => each.package !== undefined)
    .map((each) => `## ${each.name}\n\n${licenceText(path.join('node_modules', each.package)) ?? ''}`);
  return [
    '# Third parties',
    'libtorch comes in a package of its own, with its own notice.',
    ['| part | licence | how |', '|---|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n'),
    ...texts,
    '',
  ].join('\n\n');
}

/** npm's bill of materials with the parts that npm does not know. `files` are the packed files: name, sha256. */
export function billOfMaterials({ name, files, cuda, libtorch }) {
  const bill = npmBill();
  runtimeDependencies(bill); // each states its licence
  bill.metadata.component.name = name; // npm takes the folder's
  const linked = LINKED.filter((each) => cuda || !each.cudaOnly).map((each) => ({
    type: 'library',
    name: each.name,
    licenses: [{ expression: each.licence }],
  }));
  const runtime = {
    type: 'library',
    name: 'libtorch',
    version: libtorch.version,
    licenses: [{ expression: 'BSD-3-Clause' }],
    hashes: [{ alg: 'SHA-256', content: libtorch.sha256 }],
  };
  const packed = files.map((file) => ({
    type: 'file',
    name: file.name,
    hashes: [{ alg: 'SHA-256', content: file.sha256 }],
  }));
  return { ...bill, components: [...bill.components, ...linked, runtime, ...packed] };
}

/** True when the prebuilt addon has CUDA kernels, which bring NVIDIA's static runtime. */
export function hasCudaKernels(prebuilds) {
  if (!existsSync(prebuilds)) return false;
  return readdirSync(prebuilds, { recursive: true })
    .filter((name) => name.endsWith('.node'))
    .some((name) => readFileSync(path.join(prebuilds, name)).includes('.nv_fatbin'));
}
