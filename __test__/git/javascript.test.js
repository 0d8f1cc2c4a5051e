'use strict'

/** Repositories over JavaScript providers: real git over HTTP, real shells, doubles that check what they are sent. */

const fs = require('node:fs')
const path = require('node:path')
const { git } = require('../../testing/git-server')
const { VibeKit, shellProvider, TOKEN, AGENT, reasonOf, world, folder } = require('./support')

let services
let work
let provider

beforeEach(async () => {
  services = await world()
  work = folder()
})

afterEach(async () => {
  work.clean()
  provider?.clean()
  await services.close()
})

function over(options, secrets = { GH_TOKEN: TOKEN }) {
  provider = shellProvider(options)
  return new VibeKit().withAgent(AGENT).withSandbox(provider).withSecrets(secrets).withWorkingDirectory(path.join(work.path, 'repo'))
}

const repo = () => path.join(work.path, 'repo')
const lines = () => provider.commands.map(({ command }) => command)

describe.each([
  ['bash', false],
  ['dash', false],
  ['bash, rejecting', true],
])('%s', (name, rejects) => {
  const shell = name.split(',')[0]

  test('clones with the token, changes, opens a pull request and labels it', async () => {
    const kit = over({ shell, rejects })
    const events = []
    kit.on('stdout', (message) => events.push(message))
    await kit.cloneRepository('owner/repo')
    expect(events).toContainEqual({ type: 'git', message: 'Cloning repository...' })
    fs.writeFileSync(path.join(repo(), 'greeting.txt'), 'hi\n')
    fs.writeFileSync(path.join(repo(), 'README.md'), 'hello, world\n')
    const pull = await kit.createPullRequest('owner/repo', { name: 'my label', color: 'ededed', description: 'd' }, 'bot')
    expect(services.github.complaints).toEqual([])
    expect(services.model.complaints).toEqual([])
    expect(Object.keys(pull)).toEqual([
      'id', 'number', 'state', 'title', 'body', 'html_url', 'head', 'base', 'user', 'created_at', 'updated_at', 'merged',
      'mergeable', 'merge_commit_sha', 'branchName', 'commitSha',
    ])
    expect(pull).toMatchObject({ number: 1, branchName: 'bot/add-greeting', title: 'Add a greeting', base: { ref: 'main' } })
    // The words of the model are words, whatever they mean to a shell.
    expect(services.server.git('owner/repo', 'log', '-1', '--format=%s', 'bot/add-greeting')).toBe('Add a "greeting" for $USER and `you`\n')
    expect(services.server.git('owner/repo', 'show', 'bot/add-greeting:greeting.txt')).toBe('hi\n')
    expect(services.github.pulls[0].labels).toEqual(['my label'])
    expect(services.github.requests.map(({ method, path: where }) => `${method} ${where}`)).toEqual([
      'POST /api/v3/repos/owner/repo/pulls',
      'GET /api/v3/repos/owner/repo/labels/my%20label',
      'POST /api/v3/repos/owner/repo/labels',
      'POST /api/v3/repos/owner/repo/issues/1/labels',
    ])
    expect(services.model.requests[0].prompt).toContain('+hello, world')
  })

  test('pushes to a branch, twice', async () => {
    const kit = over({ shell, rejects })
    await kit.cloneRepository('owner/repo')
    for (const content of ['one\n', 'two\n']) {
      fs.writeFileSync(path.join(repo(), 'a.txt'), content)
      await kit.pushToBranch('feature/x')
      expect(services.server.git('owner/repo', 'show', 'feature/x:a.txt')).toBe(content)
    }
    expect((await reasonOf(kit.pushToBranch('feature/x'))).message).toBe('No changes found to commit and push')
  })

  test('a branch whose name means something to a shell is a branch', async () => {
    const kit = over({ shell, rejects })
    await kit.cloneRepository('owner/repo')
    const branch = 'it\'s-$(touch${IFS}pwned)-&-"x"'
    const { stdout } = await kit.executeCommand('git branch --show-current', { branch })
    expect(stdout).toBe(`${branch}\n`)
    fs.writeFileSync(path.join(repo(), 'b.txt'), 'b\n')
    await kit.pushToBranch()
    expect(services.server.git('owner/repo', 'show', `${branch}:b.txt`)).toBe('b\n')
    expect(fs.readdirSync(repo()).sort()).toEqual(['.git', 'README.md', 'b.txt'])
  })
})

test('a working directory with blanks and quotes works', async () => {
  const odd = path.join(work.path, "my 'own' $dir")
  const kit = over({ shell: 'dash' }).withWorkingDirectory(odd)
  await kit.cloneRepository('owner/repo')
  const { stdout } = await kit.executeCommand('cat README.md')
  expect(stdout).toBe('hello\n')
})

test('plain words give upstream\'s commands and options to the letter', async () => {
  const kit = over({})
  await kit.cloneRepository('owner/repo')
  await kit.executeCommand('true', { branch: 'topic' })
  fs.writeFileSync(path.join(repo(), 'a.txt'), 'a\n')
  await kit.pushToBranch()
  const W = repo()
  expect(lines().filter((line) => !line.includes('git clone'))).toEqual([
    `mkdir -p ${W}`,
    `cd ${W} && git config user.name "github-actions[bot]" && git config user.email "github-actions[bot]@users.noreply.github.com"`,
    `mkdir -p ${W} || true`,
    `cd ${W} && git rev-parse --git-dir`,
    `cd ${W} && git checkout topic`,
    `cd ${W} && git checkout -b topic`,
    `cd ${W} && true`,
    `cd ${W} && git status --porcelain`,
    `cd ${W} && git ls-files --others --exclude-standard`,
    `cd ${W} && git checkout topic`,
    `cd ${W} && git --no-pager diff --no-color HEAD`,
    `cd ${W} && git --no-pager diff --no-color --diff-filter=ACMR`,
    `cd ${W} && git add -A && git commit -m "Add a \\"greeting\\" for \\$USER and \\\`you\\\`"`,
    `cd ${W} && git push -u origin topic`,
  ])
  const keys = (part) => provider.commands.filter(({ command }) => command.includes(part)).map(({ options }) => Object.keys(options))
  expect(keys('git clone')).toEqual([['timeoutMs', 'background', 'onStdout', 'onStderr']])
  expect(keys('git status')).toEqual([['timeoutMs']])
  expect(keys('rev-parse')).toEqual([['timeoutMs', 'background']])
  expect(keys(`${W} || true`)).toEqual([['timeoutMs', 'background', 'onStdout']])
})

test('a private repository without a token says what to do, and git\'s own words are the cause', async () => {
  const kit = over({ rejects: true }, {})
  const error = await reasonOf(kit.cloneRepository('owner/repo'))
  expect(error.message).toBe(
    "Failed to clone repository 'owner/repo'. If this is a private repository, please provide GH_TOKEN in secrets using withSecrets().",
  )
  expect(error.cause.message).toBe('exit status 128')
})

test('the token is nowhere but where it authenticates', async () => {
  const seen = []
  const kit = over({ onCommand: (command, pid) => void seen.push(command, safely(() => fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))) })
  for (const name of ['stdout', 'stderr', 'update', 'error']) kit.on(name, (message) => seen.push(JSON.stringify(message)))
  const watching = watch(provider.home, seen)
  await kit.cloneRepository('owner/repo')
  fs.writeFileSync(path.join(repo(), 'a.txt'), `a key: ${TOKEN}\n`)
  await kit.createPullRequest('owner/repo')
  seen.push(JSON.stringify(serialize(await reasonOf(kit.cloneRepository('owner/missing')))))
  seen.push(JSON.stringify(serialize(await reasonOf(kit.createPullRequest('owner/repo')))))
  watching.stop()
  for (const file of files(path.join(repo(), '.git')).filter((file) => !file.includes('/objects/'))) seen.push(fs.readFileSync(file, 'latin1'))
  for (const request of services.server.requests) seen.push(request.url)
  for (const [url, init] of services.fetch.calls) seen.push(url, init.body, JSON.stringify({ ...init.headers, Authorization: '' }))
  expect(watching.looked).toBeGreaterThan(0)
  const pair = Buffer.from(`x-access-token:${TOKEN}`).toString('base64')
  expect(seen.filter((text) => text?.includes(TOKEN) || text?.includes(pair))).toEqual([])
  expect(git(repo(), 'config', '--get', 'remote.origin.url').trim()).toBe(`${services.server.url}/owner/repo.git`)
})

test('a token handed over later, in a resumed sandbox, is masked in what fails', async () => {
  const kit = over({ rejects: true }).withSession('known')
  const error = await reasonOf(kit.cloneRepository('owner/missing'))
  expect(JSON.stringify(serialize(error))).not.toContain(TOKEN)
  await kit.cloneRepository('owner/repo')
  expect(fs.existsSync(path.join(repo(), 'README.md'))).toBe(true)
})

describe('what is missing is said before a sandbox is made', () => {
  test.each([
    ['fluent, no token', () => over({}, {}), ['o/r'], 'GitHub token and repository are required for creating pull requests. Please provide GH_TOKEN in secrets and repository parameter.'],
    ['fluent, no repository', () => over({}), [], 'GitHub token and repository are required for creating pull requests. Please provide GH_TOKEN in secrets and repository parameter.'],
    ['with a broken configuration', () => over({}, {}).withGithub({ token: 't' }), [], 'GitHub configuration is required for creating pull requests. Please provide githubToken and repoUrl in your configuration.'],
  ])('%s', async (_name, make, parameters, message) => {
    const kit = make()
    expect((await reasonOf(kit.createPullRequest(...parameters))).message).toBe(message)
    expect(await kit.getSession()).toBeNull()
  })

  test('no branch', async () => {
    expect((await reasonOf(over({}).pushToBranch())).message).toBe(
      'No branch specified. Either pass a branch name or call generateCode with a branch first.',
    )
  })
})

test('the three signatures of createPullRequest find repository, label and prefix', async () => {
  const label = { name: 'l', color: 'ededed', description: 'd' }
  const config = { agent: { type: 'claude', model: { apiKey: 'sk-ant-key-of-the-model' } }, workingDirectory: repo(), secrets: {} }
  const github = { token: TOKEN, repository: 'owner/repo' }
  await over({}).cloneRepository('owner/repo')
  provider.clean()
  provider = shellProvider()
  const configured = () => new VibeKit({ ...config, github }).withSandbox(provider)
  const fluent = () => new VibeKit().withAgent(AGENT).withWorkingDirectory(repo()).withSandbox(provider).withGithub(github)
  const calls = [
    (kit, prefix) => kit().createPullRequest(label, prefix),
    (kit, prefix) => kit().createPullRequest(undefined, label, prefix),
    (kit, prefix) => kit().createPullRequest('owner/repo', label, prefix),
  ]
  let number = 0
  for (const kit of [configured, fluent]) {
    for (const call of calls) {
      number += 1
      git(repo(), 'checkout', '--quiet', 'main')
      fs.writeFileSync(path.join(repo(), 'n.txt'), `${number}\n`)
      expect(await call(kit, `prefix${number}`)).toMatchObject({ number })
    }
  }
  expect(services.github.pulls.map(({ head, labels }) => [head.ref, labels])).toEqual(
    [1, 2, 3, 4, 5, 6].map((each) => [`prefix${each}/add-greeting`, ['l']]),
  )
}, 60_000)

test('branches have directories of their own when asked for', async () => {
  const kit = over({}).withWorktrees()
  await kit.cloneRepository('owner/repo')
  const events = []
  kit.on('stdout', (message) => events.push(message))
  const where = async (branch) => (await kit.executeCommand('pwd', { branch })).stdout.trim()
  expect(await where('topic/a')).toBe(`${repo()}-wt/topic-a`)
  expect(events).toContain(`{"type": "git", "output": "Preparing worktree at: ${repo()}-wt/topic-a"}`)
  // The name would be the same.
  expect(await where('topic-a')).toBe(`${repo()}-wt/topic-a-2`)
  fs.writeFileSync(`${repo()}-wt/topic-a/a.txt`, 'a\n')
  expect(await where('topic/a')).toBe(`${repo()}-wt/topic-a`)
  await kit.pushToBranch()
  expect(services.server.git('owner/repo', 'show', 'topic/a:a.txt')).toBe('a\n')
  expect(fs.existsSync(`${repo()}-wt/topic-a`)).toBe(false)
  expect(git(repo(), 'branch', '--show-current')).toBe('main\n')
  // What was pushed is there again, not begun anew.
  expect((await kit.executeCommand('cat a.txt', { branch: 'topic/a' })).stdout).toBe('a\n')
})

test('what a failing step says reaches the caller', async () => {
  const kit = over({})
  await kit.executeCommand('true')
  const outside = await reasonOf(kit.createPullRequest('owner/repo'))
  expect(outside.message).toBe('No changes found - check if the agent actually modified any files')
  expect(outside.code).toBe('NO_CHANGES')
  await kit.executeCommand('git init --quiet && echo x > x && git remote add origin /nowhere')
  await kit.executeCommand('git config user.name n && git config user.email e')
  const failed = await reasonOf(kit.pushToBranch('b'))
  expect(failed.message).toContain('git push exited with code 128: ')
  expect(failed).toMatchObject({ exitCode: 128, stderr: expect.stringContaining('/nowhere') })
})

/** Reads every command line of this machine, again and again, until stopped. */
function watch(home, seen) {
  const watching = { looked: 0, stop: () => clearInterval(timer) }
  const timer = setInterval(() => {
    for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const environ = safely(() => fs.readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? ''
      if (!environ.includes(`HOME=${home}`)) continue
      const line = safely(() => fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))
      if (line) {
        watching.looked += 1
        seen.push(line)
      }
    }
  }, 2)
  return watching
}

function safely(read) {
  try {
    return read()
  } catch {
    return undefined
  }
}

function files(folderOf) {
  return fs.readdirSync(folderOf, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
}

/** An error with everything in it. */
function serialize(error) {
  if (!(error instanceof Error)) return error
  const own = Object.fromEntries(Object.getOwnPropertyNames(error).map((name) => [name, error[name]]))
  return { ...own, cause: serialize(error.cause) }
}
