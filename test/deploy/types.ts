/** Checks manifests against the TypeScript types of their kinds: unknown fields, missing ones, and values of another type. */
import path from 'node:path';
import ts from 'typescript';
import type { Manifest } from './manifests';

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
};

/** The types by kind: the module, relative to this folder if it begins with a dot, and the type's name. */
const KINDS: Readonly<Record<string, string>> = {
  'apps/v1 Deployment': 'kubernetes-types/apps/v1',
  'v1 Service': 'kubernetes-types/core/v1',
  'autoscaling/v2 HorizontalPodAutoscaler': 'kubernetes-types/autoscaling/v2',
  'policy/v1 PodDisruptionBudget': 'kubernetes-types/policy/v1',
  'serving.kserve.io/v1alpha1 ClusterServingRuntime': './kserve',
  'serving.kserve.io/v1beta1 InferenceService': './kserve',
  'kustomize.config.k8s.io/v1beta1 Kustomization': './kustomize',
};

/** A manifest as a program: TypeScript knows the exact fields of a literal. */
function programOf(manifest: Manifest): string {
  const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
  const from = KINDS[`${apiVersion} ${kind}`];
  if (from === undefined) throw new Error(`There is no type for ${apiVersion} ${kind}`);
  return `import type { ${kind} } from '${from}';\nexport const manifest: ${kind} = ${JSON.stringify(manifest, null, 1)};\n`;
}

/** The problems of each manifest, by its name. */
export function problemsOf(manifests: ReadonlyMap<string, Manifest>): Map<string, string[]> {
  const files = new Map(
    [...manifests].map(([name, manifest], i) => {
      return [path.join(__dirname, `manifest-${i}.ts`), { name, text: programOf(manifest) }];
    }),
  );
  const host = ts.createCompilerHost(OPTIONS);
  const original = {
    file: host.getSourceFile.bind(host),
    exists: host.fileExists.bind(host),
    read: host.readFile.bind(host),
  };
  host.getSourceFile = (file, ...rest) => {
    const own = files.get(path.normalize(file));
    return own === undefined
      ? original.file(file, ...rest)
      : ts.createSourceFile(file, own.text, ts.ScriptTarget.ES2022, true);
  };
  host.fileExists = (file) => files.has(path.normalize(file)) || original.exists(file);
  host.readFile = (file) => files.get(path.normalize(file))?.text ?? original.read(file);
  const program = ts.createProgram([...files.keys()], OPTIONS, host);
  return new Map(
    [...files].map(([file, { name }]) => {
      const source = program.getSourceFile(file);
      const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      return [name, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))];
    }),
  );
}
