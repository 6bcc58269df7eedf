import { ByteBudget } from '../../../../lib/cli/offline/byte-budget';

it('holds no more than its limit, in the order of the calls; what is larger is alone', async () => {
  const budget = new ByteBudget(100);
  const begun: string[] = [];
  const take = async (name: string, bytes: number): Promise<void> => {
    await budget.take(bytes);
    begun.push(name);
  };
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const all = [take('a', 60), take('b', 40), take('large', 500), take('c', 1)];
  await settle();
  expect(begun).toEqual(['a', 'b']);
  budget.give(60);
  await settle();
  expect(begun).toEqual(['a', 'b']);
  budget.give(40);
  await settle();
  expect(begun).toEqual(['a', 'b', 'large']);
  budget.give(500);
  await Promise.all(all);
  expect(begun).toEqual(['a', 'b', 'large', 'c']);
});
