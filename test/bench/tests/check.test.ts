import { evaluate } from './evaluate';

/** The result of findRegressions when every measurement gives the first of these ratios. */
function regressions(...ratios: (number | string)[]): unknown {
  return evaluate(
    'check',
    `await it.findRegressions(async () => [${ratios.join(', ')}].shift(), { 'doc-1': 0.5 })`,
  );
}

/** The same where each measurement takes the next ratio. */
function successive(...ratios: (number | string)[]): unknown {
  return evaluate(
    'check',
    `await ((left) => it.findRegressions(async () => left.shift(), { 'doc-1': 0.5 }))([${ratios.join(', ')}])`,
  );
}

describe('findRegressions', () => {
  it('finds none within the bound', () => {
    expect(regressions(0.5)).toEqual([]);
  });

  it('measures a slow workload up to three times more', () => {
    expect(successive(0.6, 0.8, 0.7, 0.4)).toEqual([]);
    expect(successive(0.6, 0.8, 0.9, 0.7, 0.4)).toEqual([
      { name: 'doc-1', bound: 0.5, ratios: [0.6, 0.8, 0.9, 0.7] },
    ]);
  });

  it('takes no number for a regression', () => {
    expect(regressions('NaN')).toMatchObject([{ name: 'doc-1' }]);
  });
});
