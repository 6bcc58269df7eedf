/** The manifests of deploy/, as objects. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseAllDocuments } from 'yaml';

export const deploy = path.resolve(__dirname, '..', '..', 'deploy');

export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Manifest = Record<string, Value>;

/** The documents of a YAML file below deploy/. Throws on a repeated key or any other mistake, and on warnings. */
export function documents(file: string): Manifest[] {
  const found = parseAllDocuments(readFileSync(path.join(deploy, file), 'utf8'));
  return Array.from(found).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return document.toJS() as Manifest;
  });
}

export const document = (file: string): Manifest => {
  const [first, ...others] = documents(file);
  if (first === undefined || others.length > 0) throw new Error(`${file} has ${others.length + 1} documents`);
  return first;
};

const isObject = (value: Value | undefined): value is Manifest =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The values at a path such as 'spec.template.spec.containers.0.args'. */
export function at(manifest: Value, keys: string): Value {
  return keys.split('.').reduce<Value>((value, key) => {
    const next = (value as Manifest | undefined)?.[key];
    if (next === undefined) throw new Error(`there is no ${keys}`);
    return next;
  }, manifest);
}

/**
 * A strategic merge patch, as kustomize applies it to the kinds here: objects merge, a list of objects with names (containers) merges by
 * name, any other list replaces.
 */
export function patched(target: Value | undefined, patch: Value): Value {
  if (isObject(target) && isObject(patch)) {
    const keys = new Set([...Object.keys(target), ...Object.keys(patch)]);
    return Object.fromEntries(
      [...keys].map((key) => [
        key,
        key in patch ? patched(target[key], patch[key] ?? null) : (target[key] ?? null),
      ]),
    );
  }
  if (Array.isArray(target) && isNamed(target) && isNamed(patch)) {
    const names = new Set([...target, ...patch].map(({ name }) => name));
    return [...names].map((name) => {
      const [own, others] = [target, patch].map((list) =>
        list.find((each) => isDeepStrictEqual(each.name, name)),
      );
      return others === undefined ? (own ?? null) : patched(own, others);
    });
  }
  return patch;
}

function isNamed(value: Value): value is Manifest[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => isObject(each) && 'name' in each);
}
