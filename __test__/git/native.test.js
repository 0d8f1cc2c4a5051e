'use strict'

/** Repositories in the embedded sandbox: the same scripts, with the token in git's environment alone. */

const fs = require('node:fs')
const path = require('node:path')
const { VibeKit, createLocalProvider, TOKEN, AGENT, reasonOf, world, folder } = require('./support')

jest.setTimeout(60_000)

let services
let work
let kit

beforeEach(async () => {
  services = await world()
  work = folder()
})

afterEach(async () => {
  await kit?.kill()
  work.clean()
  await services.close()
})

function over() {
  const network = { allow: [new URL(services.server.url).host] }
  const provider = createLocalProvider({ network, workspace: { path: work.path } })
  kit = new VibeKit().withAgent(AGENT).withSandbox(provider).withSecrets({ GH_TOKEN: TOKEN })
  return kit
}

test('clones, opens a pull request and pushes again, and the token is nowhere', async () => {
  const seen = []
  over()
  for (const name of ['stdout', 'stderr', 'update', 'error']) kit.on(name, (message) => seen.push(JSON.stringify(message)))
  await kit.cloneRepository('owner/repo')
  expect(fs.readFileSync(path.join(work.path, 'README.md'), 'utf8')).toBe('hello\n')
  fs.writeFileSync(path.join(work.path, 'greeting.txt'), 'hi\n')
  expect(await kit.createPullRequest('owner/repo')).toMatchObject({ number: 1, branchName: 'add-greeting' })
  expect([...services.github.complaints, ...services.model.complaints]).toEqual([])
  expect(services.server.git('owner/repo', 'show', 'add-greeting:greeting.txt')).toBe('hi\n')
  fs.writeFileSync(path.join(work.path, 'more.txt'), 'more\n')
  await kit.pushToBranch('add-greeting')
  expect(services.server.git('owner/repo', 'show', 'add-greeting:more.txt')).toBe('more\n')
  // Whoever works in the sandbox can push as well.
  const own = await kit.executeCommand('git push origin HEAD:by-hand')
  expect(own).toMatchObject({ exitCode: 0 })

  for (const file of fs.readdirSync(work.path, { recursive: true, withFileTypes: true })) {
    const where = path.join(file.parentPath ?? file.path, file.name)
    if (file.isFile() && !where.includes('/objects/')) seen.push(fs.readFileSync(where, 'latin1'))
  }
  const error = await reasonOf(kit.cloneRepository('owner/missing', '/vibe0/elsewhere'))
  seen.push(error.message, JSON.stringify(error.stderr ?? ''))
  for (const request of services.server.requests) seen.push(request.url)
  for (const [url, init] of services.fetch.calls) seen.push(url, init.body, JSON.stringify({ ...init.headers, Authorization: '' }))
  const pair = Buffer.from(`x-access-token:${TOKEN}`).toString('base64')
  expect(seen.filter((text) => text?.includes(TOKEN) || text?.includes(pair))).toEqual([])
})

test('no process of a clone has the token among its arguments', async () => {
  over()
  // Stands in the way of git and writes down every command line it can see.
  await kit.executeCommand(
    "mkdir -p /vibe0/bin && printf '%s\\n' '#!/bin/sh' 'cat /proc/[0-9]*/cmdline >> /vibe0/seen 2>/dev/null' 'PATH=${PATH#/vibe0/bin:} exec git \"$@\"' > /vibe0/bin/git && chmod +x /vibe0/bin/git",
  )
  const path_ = (await kit.executeCommand('printf %s "$PATH"')).stdout
  await kit.kill()
  const network = { allow: [new URL(services.server.url).host] }
  kit = new VibeKit()
    .withAgent({ ...AGENT, env: {} })
    .withSandbox(createLocalProvider({ network, workspace: { path: work.path } }))
    .withSecrets({ GH_TOKEN: TOKEN, PATH: `/vibe0/bin:${path_}` })
  await kit.cloneRepository('owner/repo', '/vibe0/clone')
  const seen = fs.readFileSync(path.join(work.path, 'seen'), 'latin1')
  expect(seen).toContain('clone')
  expect(seen).not.toContain(TOKEN)
  expect(seen).not.toContain(Buffer.from(`x-access-token:${TOKEN}`).toString('base64'))
})

test('branches have directories of their own', async () => {
  over().withWorktrees()
  await kit.cloneRepository('owner/repo')
  const { stdout } = await kit.executeCommand('pwd && echo t > t.txt', { branch: 'topic' })
  expect(stdout).toBe('/vibe0/.worktrees/topic\n')
  // The working directory's own repository does not see them.
  expect((await kit.executeCommand('git status --porcelain')).stdout).toBe('')
  await kit.executeCommand('true', { branch: 'topic' })
  await kit.pushToBranch()
  expect(services.server.git('owner/repo', 'show', 'topic:t.txt')).toBe('t\n')
  expect(fs.existsSync(path.join(work.path, '.worktrees/topic'))).toBe(false)
})

test('what fetch rejects with comes out as it is', async () => {
  over()
  await kit.cloneRepository('owner/repo')
  fs.writeFileSync(path.join(work.path, 'a.txt'), 'a\n')
  const thrown = new TypeError('fetch failed')
  const through = globalThis.fetch
  globalThis.fetch = (url, init) => (url.includes('/pulls') ? Promise.reject(thrown) : through(url, init))
  expect(await reasonOf(kit.createPullRequest('owner/repo'))).toBe(thrown)
})
