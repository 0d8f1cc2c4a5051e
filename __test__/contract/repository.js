'use strict'

/**
 * Sandboxes with a repository for the scenarios: one whose git answers by script, and one with real git, whose GitHub is a
 * server on loopback. The requests of both packages go to the doubles of GitHub and of a model.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { startGitServer, git } = require('../../testing/git-server')
const { createGithub } = require('../../testing/github-server')
const { createModel, stubFetch } = require('../../testing/words-server')
const { shellProvider } = require('../../testing/shell-provider')
const { outcome, withoutLines, recordingProvider, recordEvents } = require('./harness')

const TOKEN = 'ghp_0123456789canaryCANARYcanaryCANARY01'
/** Without a model of its own, the agent's words come from the vendor's default: 0.0.69 asks no other (D16). */
const CLAUDE = { type: 'claude', provider: 'anthropic', apiKey: 'sk-ant' }
/** Nothing a shell or a branch could take amiss, which is what D12 is about. */
const WORDS = { title: 'Add a greeting', body: 'It greets.', branchName: 'add-greeting', commitMessage: 'Add a greeting' }
const PATCH = 'diff --git a/a.txt b/a.txt\nindex 1..2 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-hello\n+hello, world\n'

/** What git says in a repository with a change, by the part of the line that asks. */
const CHANGED = {
  'rev-parse --abbrev-ref': 'main\n',
  'status --porcelain': ' M a.txt\n',
  'ls-files': '',
  '--no-color HEAD': PATCH,
  'diff-filter': PATCH,
  'git commit': '[add-greeting 1a2b3c4] Add a greeting\n 1 file changed\n',
}
/** The same where nothing changed. */
const UNCHANGED = { ...CHANGED, 'status --porcelain': '', '--no-color HEAD': '', 'diff-filter': '' }

/**
 * Answers git's questions.
 * @param {Record<string, string | Error | { exitCode: number, stdout: string, stderr: string }>} says by a part of the line; an `Error` is rejected
 */
const gitThatSays = (says) => ({
  run(line) {
    const [, answer] = Object.entries(says).find(([part]) => line.includes(part)) ?? []
    if (answer instanceof Error) return Promise.reject(answer)
    return typeof answer === 'object' ? answer : { exitCode: 0, stdout: answer ?? '', stderr: '' }
  },
})

/** Every host a model may be asked at. */
const MODELS = [
  'api.anthropic.com', 'api.openai.com', 'openrouter.ai', 'generativelanguage.googleapis.com', 'localhost:11434', 'api.mistral.ai',
  'api.deepseek.com', 'api.x.ai', 'api.groq.com', 'api.arcee.ai',
]

/** A request in a form that compares: the names of headers in small letters and in order. */
const described = ([url, { method, headers, body }]) => ({
  url, method, body, headers: Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]).sort(),
})

/**
 * Puts the doubles behind `fetch` for the time of a call, and gives what it gave with what they were asked.
 * @param {{ words?: Record<string, string>, labels?: string[], instead?: Record<string, unknown>, first?: object[], fetch?: typeof fetch }} doubles
 * @param {() => Promise<any>} call
 */
async function withServices({ words = WORDS, labels, instead = {}, first = [], fetch: stub }, call) {
  const github = createGithub({ token: TOKEN, labels })
  for (const [request, answer] of Object.entries(instead)) github.instead.set(request, answer)
  const model = createModel({ words })
  model.first.push(...first)
  const former = globalThis.fetch
  const fetch = stubFetch({ 'api.github.com': github, ...Object.fromEntries(MODELS.map((host) => [host, model])) })
  globalThis.fetch = stub ?? fetch
  try {
    const observed = await call()
    return { ...observed, requests: fetch.calls.map(described), complaints: [...github.complaints, ...model.complaints] }
  } finally {
    globalThis.fetch = former
  }
}

/**
 * One call about a repository, over the git that answers by script.
 * @param {any} sdk
 * @param {(kit: any) => Promise<unknown>} call
 * @param {{ says?: object, agent?: object, secrets?: object, configure?: (kit: any) => any, after?: (kit: any) => unknown } & Parameters<typeof withServices>[0]} [options]
 */
const scripted = (sdk, call, { says = CHANGED, agent = CLAUDE, secrets = { GH_TOKEN: TOKEN }, configure = (kit) => kit, after, ...doubles } = {}) =>
  withServices(doubles, async () => {
    const provider = recordingProvider(gitThatSays(says))
    const kit = configure(new sdk.VibeKit().withAgent(agent).withSandbox(provider).withSecrets(secrets))
    const events = recordEvents(kit)
    const result = await outcome(call(kit))
    return { result, events, calls: withoutLines(provider.calls), ...(after && { after: await after(kit) }) }
  })

/**
 * Calls over real git in a real shell. What GitHub is to both packages is a server on loopback: git is told so by its
 * environment, with the token, since how the token gets to git differs on purpose (D13).
 * @param {any} sdk
 * @param {(world: { kit: any, write: (file: string, text: string) => void, inside: (...args: string[]) => string }) => Promise<unknown>} story
 * @param {{ shell?: string, rejects?: boolean, directory?: string, configure?: (kit: any) => any } & Parameters<typeof withServices>[0]} [options]
 */
async function real(sdk, story, { shell = 'bash', rejects = true, directory = 'repo', configure = (kit) => kit, ...doubles } = {}) {
  const server = await startGitServer({ token: TOKEN, repositories: { 'owner/repo': { 'README.md': 'hello\n' } } })
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-work-'))
  const provider = shellProvider({ shell, rejects })
  const at = path.join(work, directory)
  const { host } = new URL(server.url)
  const instead = `url.http://x-access-token:${TOKEN}@${host}/.insteadOf`
  const environment = {
    GH_TOKEN: TOKEN,
    GIT_CONFIG_COUNT: '2',
    GIT_CONFIG_KEY_0: instead, GIT_CONFIG_VALUE_0: 'https://github.com/',
    GIT_CONFIG_KEY_1: instead, GIT_CONFIG_VALUE_1: `https://x-access-token:${TOKEN}@github.com/`,
    // So that commits have the same names in both processes.
    GIT_AUTHOR_DATE: '2025-01-01T00:00:00Z', GIT_COMMITTER_DATE: '2025-01-01T00:00:00Z',
  }
  /** What is the machine's, or differs on purpose (D13). */
  const hidden = (text) => text.replaceAll(work, '/w').replaceAll(provider.home, '/home').replaceAll(host, 'HOST').replaceAll(TOKEN, '***')
  try {
    return await withServices(doubles, async () => {
      const kit = configure(new sdk.VibeKit().withAgent(CLAUDE).withSandbox(provider).withSecrets(environment).withWorkingDirectory(at))
      const events = recordEvents(kit)
      const told = await story({
        kit,
        write: (file, text) => fs.writeFileSync(path.join(at, file), text),
        inside: (...args) => git(at, ...args),
      })
      const refs = server.git('owner/repo', 'for-each-ref', '--format=%(refname) %(objectname) %(contents:subject) %(authorname)')
      const lines = provider.commands.map(({ command, options }) => [command, Object.keys(options)])
      return JSON.parse(hidden(JSON.stringify({ told, events, refs, lines })))
    })
  } finally {
    provider.clean()
    fs.rmSync(work, { recursive: true, force: true })
    await server.close()
  }
}

module.exports = { scripted, real, withServices, TOKEN, CLAUDE, WORDS, PATCH, CHANGED, UNCHANGED }
