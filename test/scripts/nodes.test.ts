import { evaluateScript } from './support';

it('sums up the reports of several versions of Node as one', () => {
  const report = (passed: number, failed: number, broken: number) =>
    JSON.stringify({
      numTotalTests: passed + failed,
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests: 0,
      numRuntimeErrorTestSuites: broken,
      testResults: [],
    });
  expect(evaluateScript('nodes.mjs', `it.sumReports([${report(3, 1, 0)}, ${report(4, 0, 2)}])`)).toEqual({
    numTotalTests: 8,
    numPassedTests: 7,
    numFailedTests: 1,
    numPendingTests: 0,
    numRuntimeErrorTestSuites: 2,
  });
});

it('is a report also where no version gave one', () => {
  expect(evaluateScript('nodes.mjs', 'it.sumReports([])')).toMatchObject({
    numPassedTests: 0,
    numFailedTests: 0,
  });
});
