/**
 * The manifests for KServe against the schemas of its CustomResourceDefinitions. KSERVE_CRDS names a folder with them, config/crd/full of KServe's
 * repository; without it these tests are skipped.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Ajv, { type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { at, document, type Manifest } from './manifests';

const folder = process.env.KSERVE_CRDS;

interface Schema {
  [keyword: string]: unknown;
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
}

interface Definition {
  spec: {
    names: { kind: string };
    group: string;
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

/** The schema as the API server applies it with --validate=strict: unknown fields are errors. */
function closed(schema: Schema): Schema {
  const { properties, additionalProperties, items } = schema;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true || properties === undefined;
  return {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, closed(value)])),
    }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: closed(additionalProperties) }),
    ...(!isOpen && additionalProperties === undefined && { additionalProperties: false }),
    ...(items && { items: closed(items) }),
  };
}

interface Kind {
  kind: string;
  validators: Map<string, ValidateFunction>;
}

const kinds = new Map<string, Kind>();

/** The kind of a definition, with what checks each of its versions. */
function kindOf(file: string): Kind {
  const known = kinds.get(file);
  if (known !== undefined) return known;
  const { spec } = parse(readFileSync(path.join(folder ?? '', file), 'utf8')) as Definition;
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  const validators = spec.versions.map(({ name, schema: { openAPIV3Schema: schema } }) => {
    // Definitions leave the metadata to the API server: it may have any field.
    const { metadata = {}, ...properties } = schema.properties ?? {};
    const all = closed({ ...schema, properties });
    const validate = ajv.compile({ ...all, properties: { ...all.properties, metadata } });
    return [`${spec.group}/${name}`, validate] as const;
  });
  const kind = { kind: spec.names.kind, validators: new Map(validators) };
  kinds.set(file, kind);
  return kind;
}

/** Checks a manifest against the definition of its kind. Returns the mistakes. */
function mistakes(manifest: Manifest, file: string): unknown {
  const { kind, validators } = kindOf(file);
  const validate = validators.get(manifest.apiVersion as string);
  if (validate === undefined || kind !== manifest.kind) throw new Error(`${file} is of another kind`);
  return validate(manifest) ? [] : validate.errors;
}

const run = folder === undefined ? it.skip : it;
const cases = [
  ['kserve/runtime.yaml', 'serving.kserve.io_clusterservingruntimes.yaml'],
  ['kserve/inference-service.yaml', 'serving.kserve.io_inferenceservices.yaml'],
  ['kserve/inference-service-grpc.yaml', 'serving.kserve.io_inferenceservices.yaml'],
] as const;

run.each(cases)('%s', (manifest, file) => {
  expect(mistakes(document(manifest), file)).toEqual([]);
});

run('finds a field that KServe does not have, and a value that it does not allow', () => {
  const manifest = document('kserve/inference-service.yaml');
  Object.assign(at(manifest, 'spec.predictor') as Manifest, { scaleMetrics: 'rps', scaleMetric: 'requests' });
  expect(mistakes(manifest, 'serving.kserve.io_inferenceservices.yaml')).toHaveLength(2);
});
