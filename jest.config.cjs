/** @type {import('jest').Config} */
module.exports = {
  testMatch: ['<rootDir>/test/**/*.test.ts', '<rootDir>/packages/*/test/**/*.test.ts'],
  testEnvironment: '<rootDir>/test/jest/environment.cjs',
  setupFiles: ['<rootDir>/test/jest/random-inputs.cjs'],
  transform: {
    '^.+\\.[cm]?ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  moduleNameMapper: {
    '^tokenlearner$': '<rootDir>/lib/index.ts',
    '^@tokenlearner/server$': '<rootDir>/packages/server/lib/index.ts',
  },
  modulePathIgnorePatterns: [
    '<rootDir>/build/',
    '<rootDir>/dist/',
    '<rootDir>/packages/server/(?:build|dist)/',
  ],
  testTimeout: 60_000,
  maxWorkers: 2,
};
