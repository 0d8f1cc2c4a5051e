'use strict'

module.exports = {
  roots: ['<rootDir>/__test__'],
  testMatch: ['**/*.test.js'],
  testPathIgnorePatterns: [
    // All five real agents are installed and run by `npm run test:agents`; the smallest one is always run.
    ...(process.env.VIBEKIT_TEST_AGENTS ? [] : ['/__test__/agents/(claude|codex|grok|opencode)\\.test\\.js$']),
    // Clouds, with the official clients of services, are for `npm run test:providers`; the one of most users is always run.
    ...(process.env.VIBEKIT_TEST_PROVIDERS ? [] : ['/__test__/providers/(?!e2b/(ours|turns)\\.test)']),
    // A container engine is started there as well.
    ...(process.env.VIBEKIT_TEST_ENGINE ? [] : ['/__test__/providers/docker/']),
  ],
  testEnvironment: 'node',
  testTimeout: 30_000,
  // Tests load the package by its name, as users do; no transformation, what is in the files is what runs.
  transform: {},
  watchman: false,
  setupFilesAfterEnv: ['<rootDir>/__test__/support/setup.js'],
}
