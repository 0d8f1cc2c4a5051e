'use strict'

/**
 * Real git over HTTP on loopback: `git http-backend` behind Basic authentication, with GitHub's rules for tokens (user
 * `x-access-token`). It keeps the head of every request, so that a test can see where the token travelled.
 */

const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { serve, read } = require('./loopback')

const BACKEND = path.join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend')

/** Git without the configuration of this machine. */
const ENV = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'test', GIT_AUTHOR_EMAIL: 'test@example.com', GIT_COMMITTER_NAME: 'test', GIT_COMMITTER_EMAIL: 'test@example.com',
  // Repositories of the same content have commits of the same names.
  GIT_AUTHOR_DATE: '2025-01-01T00:00:00Z', GIT_COMMITTER_DATE: '2025-01-01T00:00:00Z',
}

/**
 * @param {string} cwd @param {string[]} args
 * @returns {string} standard output
 */
const git = (cwd, ...args) => execFileSync('git', ['-c', 'safe.directory=*', ...args], { cwd, env: ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/**
 * @param {object} options
 * @param {string} options.token what private repositories take as password
 * @param {Record<string, Record<string, string>>} options.repositories content by `owner/repo`, then by path; the branch is `main`
 * @param {boolean} [options.private] reading needs the token too; default true
 */
async function startGitServer({ token, repositories, private: secret = true }) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-git-'))
  for (const [name, files] of Object.entries(repositories)) {
    const bare = path.join(root, `${name}.git`)
    fs.mkdirSync(bare, { recursive: true })
    git(bare, 'init', '--quiet', '--bare', '--initial-branch=main')
    git(bare, 'config', 'http.receivepack', 'true')
    const tree = fs.mkdtempSync(path.join(os.tmpdir(), 'vibekit-tree-'))
    git(tree, 'init', '--quiet', '--initial-branch=main')
    for (const [file, content] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(tree, file)), { recursive: true })
      fs.writeFileSync(path.join(tree, file), content)
    }
    git(tree, 'add', '-A')
    git(tree, 'commit', '--quiet', '-m', 'First')
    git(tree, 'push', '--quiet', bare, 'main')
    fs.rmSync(tree, { recursive: true })
  }
  /** @type {Array<{ method: string, url: string, headers: Record<string, string | string[] | undefined> }>} */
  const requests = []
  const expected = `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`

  const server = await serve(async (request, response) => {
    requests.push({ method: String(request.method), url: String(request.url), headers: { ...request.headers } })
    const { pathname, searchParams, search } = new URL(String(request.url), 'http://localhost')
    const writes = pathname.endsWith('/git-receive-pack') || searchParams.get('service') === 'git-receive-pack'
    if ((secret || writes) && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('Authentication required')
      return
    }
    const body = await read(request)
    const child = spawn(BACKEND, {
      env: {
        ...ENV,
        GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: '1', REMOTE_USER: 'x-access-token',
        GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*',
        REQUEST_METHOD: request.method, PATH_INFO: decodeURIComponent(pathname), QUERY_STRING: search.slice(1),
        CONTENT_TYPE: request.headers['content-type'], CONTENT_LENGTH: String(body.length),
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'], GIT_PROTOCOL: request.headers['git-protocol'],
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.on('error', () => {})
    child.stdin.end(body)
    const output = await read(/** @type {any} */ (child.stdout))
    const split = output.indexOf('\r\n\r\n')
    const head = output.subarray(0, split).toString('latin1').split('\r\n')
    let status = 200
    for (const line of head) {
      const [name, ...rest] = line.split(':')
      const value = rest.join(':').trim()
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
      else if (name) response.setHeader(name, value)
    }
    response.writeHead(status).end(output.subarray(split + 4))
  })

  return {
    ...server,
    token,
    requests,
    /** Runs git in the server's own copy. @param {string} name @param {string[]} args */
    git: (name, ...args) => git(path.join(root, `${name}.git`), ...args),
    close: async () => {
      await server.close()
      fs.rmSync(root, { recursive: true, force: true })
    },
  }
}

module.exports = { startGitServer, git, ENV }
