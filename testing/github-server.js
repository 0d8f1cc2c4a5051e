'use strict'

/**
 * A GitHub that checks what it is sent: the requests of the TypeScript SDK (contract, section 5) and no others. What is wrong
 * with a request is kept in `complaints`, and answered with 400.
 */

const { serve, read } = require('./loopback')

const V3 = 'application/vnd.github.v3+json'
const NOW = 'application/vnd.github+json'

/**
 * @param {object} options
 * @param {string} options.token
 * @param {string} [options.repository] `owner/repo`
 * @param {string[]} [options.labels] labels that exist
 * @param {string} [options.prefix] path of the API on this server: `/api/v3` as on GitHub Enterprise
 */
function createGithub({ token, repository = 'owner/repo', labels = [], prefix = '' }) {
  /** @type {Array<{ method: string, path: string, headers: Record<string, any>, body: any }>} */
  const requests = []
  /** @type {string[]} */
  const complaints = []
  const known = new Set(labels)
  /** @type {any[]} */
  const pulls = []
  /** Answers to give instead, once each, by `METHOD path`. @type {Map<string, { status: number, body: unknown }>} */
  const instead = new Map()

  /**
   * @param {{ method: string, path: string, headers: Record<string, any>, body: string }} request
   * @returns {{ status: number, body: unknown }}
   */
  function answer({ method, path, headers, body }) {
    /** @param {boolean} holds @param {string} what */
    const ensure = (holds, what) => void (holds || complaints.push(`${method} ${path}: ${what}`))
    let parsed
    try {
      parsed = body === '' ? undefined : JSON.parse(body)
    } catch {
      ensure(false, 'the body is no JSON')
    }
    requests.push({ method, path, headers, body: parsed })
    const before = complaints.length
    ensure(headers.authorization === `token ${token}`, 'wrong authorization')
    ensure(!path.includes(token) && !body.includes(token), 'the token is where it should not be')
    if (method !== 'GET') ensure(headers['content-type'] === 'application/json', 'wrong content type')
    if (method === 'GET') ensure(body === '', 'a GET with a body')
    const replaced = instead.get(`${method} ${path}`)
    if (replaced) {
      instead.delete(`${method} ${path}`)
      return replaced
    }
    const base = `${prefix}/repos/${repository}`
    if (!path.startsWith(`${base}/`)) return { status: 404, body: { message: 'Not Found' } }
    const rest = path.slice(base.length)
    /** @param {string[]} keys */
    const only = (keys) => ensure(Object.keys(parsed ?? {}).every((key) => keys.includes(key)), `unknown keys among ${Object.keys(parsed ?? {})}`)
    /** @type {{ status: number, body: unknown }} */
    let result = { status: 404, body: { message: 'Not Found' } }
    if (method === 'POST' && rest === '/pulls') {
      ensure(headers.accept === V3, 'wrong Accept')
      only(['title', 'body', 'head', 'base'])
      for (const key of ['title', 'body', 'head', 'base']) ensure(typeof parsed?.[key] === 'string' && parsed[key] !== '', `${key} is no text`)
      const number = pulls.length + 1
      const pull = {
        id: 1000 + number, number, state: 'open', title: parsed?.title, body: parsed?.body,
        html_url: `https://github.com/${repository}/pull/${number}`,
        head: { ref: parsed?.head, sha: '1a2b3c4' }, base: { ref: parsed?.base }, user: { login: 'bot' },
        created_at: '2025-01-01T00:00:00Z', updated_at: '2025-01-01T00:00:00Z', merged: false, mergeable: null, merge_commit_sha: null,
        further: 'ignored',
      }
      pulls.push({ ...pull, labels: [] })
      result = { status: 201, body: pull }
    } else if (method === 'GET' && rest.startsWith('/labels/')) {
      ensure(headers.accept === V3, 'wrong Accept')
      const name = rest.slice('/labels/'.length)
      ensure(!name.includes('/') && encodeURIComponent(decodeURIComponent(name)).replace(/[!'()*]/g, escape) === name, 'the label is not encoded')
      result = known.has(decodeURIComponent(name)) ? { status: 200, body: { name: decodeURIComponent(name) } } : result
    } else if (method === 'POST' && rest === '/labels') {
      only(['name', 'color', 'description'])
      ensure(/^[0-9a-fA-F]{6}$/.test(parsed?.color), 'no colour')
      known.add(parsed?.name)
      result = { status: 201, body: parsed }
    } else if (method === 'POST' && /^\/issues\/\d+\/labels$/.test(rest)) {
      ensure(Array.isArray(parsed) && parsed.every((name) => known.has(name)), 'a label that does not exist')
      const pull = pulls[Number(rest.split('/')[2]) - 1]
      ensure(pull !== undefined, 'no such pull request')
      pull?.labels.push(...parsed)
      result = { status: 200, body: parsed }
    } else if (method === 'PUT' && /^\/pulls\/\d+\/merge$/.test(rest)) {
      ensure(headers.accept === NOW, 'wrong Accept')
      ensure(headers['x-github-api-version'] === '2022-11-28', 'wrong version')
      only(['commit_title', 'commit_message', 'merge_method'])
      ensure(['merge', 'squash', 'rebase'].includes(parsed?.merge_method), 'no merge method')
      result = { status: 200, body: { sha: '5d6e7f8', merged: true, message: 'Pull Request successfully merged', further: 1 } }
    }
    return complaints.length > before ? { status: 400, body: { message: complaints.at(-1) } } : result
  }

  return { requests, complaints, pulls, labels: known, instead, answer }
}

/** The same, listening on loopback. @param {Parameters<typeof createGithub>[0]} options */
async function startGithubServer(options) {
  const github = createGithub(options)
  const server = await serve(async (request, response) => {
    const body = (await read(request)).toString()
    const answer = github.answer({ method: String(request.method), path: String(request.url), headers: request.headers, body })
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  })
  return { ...github, ...server }
}

module.exports = { createGithub, startGithubServer }
