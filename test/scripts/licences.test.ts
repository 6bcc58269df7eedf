import { evaluateScript } from './support';

const evaluate = (expression: string): unknown => evaluateScript('licences.mjs', expression);

it('knows the licence of everything that a user gets', () => {
  const all = evaluate('it.runtimeDependencies()') as { name: string; version: string; licence: string }[];
  expect(all.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['commander', 'pend', 'undici', 'yauzl']),
  );
  for (const { licence, version } of all) {
    expect(licence).toMatch(/^(?:MIT|ISC|BSD-[23]-Clause|Apache-2\.0)$/);
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
  }
});

it("names NVIDIA's runtime only where it is linked", () => {
  expect(evaluate('it.thirdPartyNotice({ cuda: true }).includes("cudart")')).toBe(true);
  expect(evaluate('it.thirdPartyNotice({ cuda: false }).includes("cudart")')).toBe(false);
});

it('writes a CycloneDX bill of materials', () => {
  const bill = evaluate(`it.billOfMaterials({
    name: 'tokenlearner', version: '1.0.0', cuda: false,
    files: [{ name: 'a.tgz', sha256: 'ab' }], libtorch: { version: '2.13.0', sha256: 'cd' } })`);
  expect(bill).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    metadata: { component: { version: '1.0.0' } },
  });
  const { components } = bill as { components: { name: string }[] };
  expect(components.map(({ name }) => name)).toEqual(expect.arrayContaining(['a.tgz', 'libtorch', 'undici']));
});
