'use strict'

/** `mergePullRequest`: what GitHub is sent, and what its answers become. */

const { VibeKit } = require('vibekit-native')
const { createGithub } = require('../../testing/github-server')
const { stubFetch } = require('../../testing/words-server')
const { reasonOf, TOKEN } = require('./support')

const former = globalThis.fetch
let github
let fetch

beforeEach(() => {
  github = createGithub({ token: TOKEN })
  fetch = stubFetch({ 'api.github.com': github })
  globalThis.fetch = fetch
})

afterEach(() => {
  globalThis.fetch = former
})

const kit = () => new VibeKit().withSecrets({ GH_TOKEN: TOKEN })
const merge = (options) => kit().mergePullRequest({ repository: 'owner/repo', pullNumber: 7, ...options })

test('sends what the TypeScript SDK sends, without an agent or a sandbox', async () => {
  const result = await merge({ commitTitle: 'Title', mergeMethod: 'squash' })
  expect(result).toEqual({ sha: '5d6e7f8', merged: true, message: 'Pull Request successfully merged' })
  expect(github.complaints).toEqual([])
  expect(fetch.calls).toEqual([
    [
      'https://api.github.com/repos/owner/repo/pulls/7/merge',
      {
        method: 'PUT',
        headers: {
          Authorization: `token ${TOKEN}`,
          Accept: 'application/vnd.github+json',
          'X-GitHub-Api-Version': '2022-11-28',
          'Content-Type': 'application/json',
        },
        body: '{"commit_title":"Title","merge_method":"squash"}',
      },
    ],
  ])
})

test('merges by default, and takes the address of a repository', async () => {
  await merge({ repository: 'https://github.com/owner/repo.git' })
  expect(github.requests.map(({ body }) => body)).toEqual([{ merge_method: 'merge' }])
})

test.each([
  [404, { message: 'Not Found' }, 'Pull request #7 not found in owner/repo'],
  [405, {}, 'Pull request #7 is not mergeable. It may have conflicts or failed status checks.'],
  [422, { message: 'bad sha' }, 'Invalid merge parameters: bad sha'],
  [422, {}, 'Invalid merge parameters: Unknown validation error'],
  [403, { message: 'Forbidden' }, 'Failed to merge pull request #7: 403 Forbidden'],
  [500, '<html>oops</html>', 'Failed to merge pull request #7: 500 '],
])('an answer %i %j fails with its reason', async (status, body, message) => {
  github.instead.set('PUT /repos/owner/repo/pulls/7/merge', { status, body })
  const error = await reasonOf(merge())
  expect(error).toBeInstanceOf(Error)
  expect(error.message).toBe(message)
  expect(error).toMatchObject({ code: 'GITHUB_FAILED', status })
})

test('an answer that is no JSON is an error that says so', async () => {
  github.instead.set('PUT /repos/owner/repo/pulls/7/merge', { status: 200, body: '<html>' })
  expect(await reasonOf(merge())).toMatchObject({ code: 'GITHUB_FAILED', message: expect.stringContaining('no JSON') })
})

test('what fetch rejects with comes out as it is', async () => {
  const thrown = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })
  globalThis.fetch = () => Promise.reject(thrown)
  expect(await reasonOf(merge())).toBe(thrown)
})

test('a stand-in with json() alone is enough', async () => {
  globalThis.fetch = async () => ({ ok: true, status: 200, json: async () => ({ sha: 'a', merged: true, message: 'm' }) })
  expect(await merge()).toEqual({ sha: 'a', merged: true, message: 'm' })
})

test('what is missing is said before anybody is asked', async () => {
  const required = 'GitHub token and repository are required for merging pull requests. Please provide GH_TOKEN in secrets using withSecrets().'
  expect((await reasonOf(new VibeKit().mergePullRequest({ repository: 'o/r', pullNumber: 1 }))).message).toBe(required)
  expect((await reasonOf(merge({ repository: '' }))).message).toBe(required)
  for (const pullNumber of [0, undefined, '7', Number.NaN]) {
    expect((await reasonOf(merge({ pullNumber }))).message).toBe('Pull request number is required and must be a number')
  }
  expect((await reasonOf(merge({ repository: 'owner' }))).message).toBe('Invalid repository URL format. Expected format: owner/repo')
  expect(await reasonOf(merge({ repository: 'https://evil.example/owner/repo' }))).toMatchObject({ field: 'repository' })
  expect(await reasonOf(kit().mergePullRequest())).toBeInstanceOf(TypeError)
  expect(fetch.calls).toEqual([])
})

test('an abort gives the request up', async () => {
  const controller = new AbortController()
  let given
  globalThis.fetch = (_url, init) => new Promise((_resolve, reject) => {
    given = init.signal
    given.addEventListener('abort', () => reject(given.reason))
  })
  const merging = reasonOf(merge({ signal: controller.signal }))
  await new Promise(setImmediate)
  controller.abort()
  expect((await merging).name).toBe('AbortError')
  expect(given.aborted).toBe(true)
})

test('an object made from a configuration uses its token', async () => {
  const configured = new VibeKit({
    agent: { type: 'codex', model: { apiKey: 'k' } }, environment: { local: {} }, github: { token: 'old', repository: 'a/b' },
  })
  configured.setGithubToken(TOKEN)
  await configured.mergePullRequest({ repository: 'owner/repo', pullNumber: 7 })
  expect(github.complaints).toEqual([])
  const uninitialized = new VibeKit({})
  expect((await reasonOf(uninitialized.mergePullRequest({ repository: 'o/r', pullNumber: 1 }))).message).toBe('Agent not initialized')
})
