/* global jest */
/** fast-check chooses the same inputs in every run; with TOKENLEARNER_SOAK, others each time. */
jest.mock('fast-check', () => {
  const actual = jest.requireActual('fast-check');
  if (process.env.TOKENLEARNER_SOAK === undefined) actual.configureGlobal({ seed: 1 });
  return actual;
});
