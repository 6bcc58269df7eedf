import { evaluateScript } from './support';

interface Bill {
  components: { name: string }[];
}

const evaluate = (expression: string): unknown => evaluateScript('licences.mjs', expression);

it('knows the licence of everything that a user gets', () => {
  const all = evaluate('it.runtimeDependencies()') as { name: string; version: string; licence: string }[];
  expect(all.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['commander', 'pend', 'undici', 'yauzl']),
  );
  // Of the server's package, which is one of its own.
  expect(all.map(({ name }) => name)).not.toContain('fastify');
  for (const { licence, version } of all) {
    expect(licence).toMatch(/^(?:MIT|ISC|BSD-[23]-Clause|Apache-2\.0)$/);
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
  }
});

it("names NVIDIA's runtime only where it is linked", () => {
  expect(evaluate('it.thirdPartyNotice({ cuda: true }).includes("cudart")')).toBe(true);
  expect(evaluate('it.thirdPartyNotice({ cuda: false }).includes("cudart")')).toBe(false);
});

it("adds to npm's bill of materials what npm does not know", () => {
  const bill = evaluate(`it.billOfMaterials({
    name: 'tokenlearner', cuda: false,
    files: [{ name: 'a.tgz', sha256: 'ab' }], libtorch: { version: '2.13.0', sha256: 'cd' } })`) as Bill;
  expect(bill).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { name: 'tokenlearner' } } });
  const names = bill.components.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['a.tgz', 'libtorch', 'libstdc++', 'undici']));
  expect(names).not.toContain('CUDA runtime (cudart_static)');
  expect(names).not.toContain('jest');
});

it('refuses a dependency without a licence', () => {
  expect(() => evaluate(`it.runtimeDependencies({ components: [{ name: 'x', version: '1.0.0' }] })`)).toThrow(
    'x 1.0.0 states no licence',
  );
});
