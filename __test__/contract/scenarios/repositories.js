'use strict'

/** Pull requests, pushes, merges and clones: what git is told, what GitHub and the models are asked, what comes of it. */

const { outcome, scenarios, deviation, withEnv, observe, success } = require('../harness')
const { scripted, real, withServices, TOKEN, CLAUDE, PATCH, CHANGED, UNCHANGED } = require('../repository')
const { WORDS } = require('../../../testing/words-server')
const { AGENTS } = require('./setup')

const LABEL = { name: 'mine', color: 'ededed', description: 'd' }
const pull = (...parameters) => (kit) => kit.createPullRequest('owner/repo', ...parameters)
const push = (...parameters) => (kit) => kit.pushToBranch(...parameters)
const merge = (options) => (kit) => kit.mergePullRequest({ repository: 'owner/repo', pullNumber: 7, ...options })
const clone = (...parameters) => (kit) => kit.cloneRepository('owner/repo', ...parameters)

/** A merge needs nothing but the token. */
const merging = (sdk, call, { secrets = { GH_TOKEN: TOKEN }, ...doubles } = {}) =>
  withServices(doubles, async () => ({ result: await outcome(Promise.resolve().then(() => call(new sdk.VibeKit().withSecrets(secrets)))) }))

const answered = (status, body) => ({ instead: { 'PUT /repos/owner/repo/pulls/7/merge': { status, body } } })

/** Vendors a model can be asked at with 0.0.69 (D16), save OpenAI, which it has a key for in the host's environment alone. */
const VENDORS = ['openrouter', 'gemini', 'ollama', 'mistral', 'deepseek', 'xai', 'groq', 'arceeai']

/** Lines of a provider's calls. */
const linesOf = ({ calls }) => calls.filter(([name]) => name === 'run').map(([, line]) => line)

module.exports = [
  ...scenarios('createPullRequest', {
    'of a change': (sdk) => scripted(sdk, pull()),
    'with a prefix': (sdk) => scripted(sdk, pull(undefined, 'bot')),
    'with an empty prefix': (sdk) => scripted(sdk, pull(undefined, '')),
    'with a label of one\'s own': (sdk) => scripted(sdk, pull(LABEL)),
    'with a label that exists': (sdk) => scripted(sdk, pull(LABEL), { labels: ['mine'] }),
    'of a new file': (sdk) => scripted(sdk, pull(), { says: { ...UNCHANGED, 'ls-files': 'new.txt\n', '--cached': PATCH } }),
    'of a change that is staged': (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'diff-filter': '' } }),
    'of nothing': (sdk) => scripted(sdk, pull(), { says: UNCHANGED }),
    'of a new file git does not show': (sdk) => scripted(sdk, pull(), { says: { ...UNCHANGED, 'ls-files': 'new.txt\n' } }),
    'where no branch is checked out': (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'rev-parse --abbrev-ref': '' } }),
    'from another branch': (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'rev-parse --abbrev-ref': 'develop\n' } }),
    'of a first commit, whose name is not looked for': (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'git commit': '[main (root-commit) 1a2b3c4] First\n' } }),
    'of a commit that says nothing': (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'git commit': '' } }),
    'in another directory': (sdk) => scripted(sdk, pull(), { configure: (kit) => kit.withWorkingDirectory('/srv/app') }),
    'of a resumed session': (sdk) => scripted(sdk, pull(), { configure: (kit) => kit.withSession('kept') }),
    'after a command on a branch': (sdk) => scripted(sdk, async (kit) => {
      await kit.executeCommand('x', { branch: 'topic' })
      return kit.createPullRequest('owner/repo')
    }),
    'after a turn, whose prompt is the task': (sdk) => scripted(sdk, async (kit) => {
      await kit.runTests()
      return kit.createPullRequest('owner/repo')
    }),
    ...Object.fromEntries(['git rev-parse', 'git status', 'git ls-files', '--no-color HEAD', 'git commit', 'git push'].map((part) => [
      `when ${part} is rejected`, (sdk) => scripted(sdk, pull(), { says: { [part]: new Error('refused'), ...CHANGED } }),
    ])),
    'without a token': (sdk) => scripted(sdk, pull(), { secrets: {} }),
    'without a repository': (sdk) => scripted(sdk, (kit) => kit.createPullRequest()),
    'when GitHub refuses': (sdk) => scripted(sdk, pull(), { instead: { 'POST /repos/owner/repo/pulls': { status: 422, body: { message: 'Validation Failed' } } } }),
    'when GitHub refuses with a page': (sdk) => scripted(sdk, pull(), { instead: { 'POST /repos/owner/repo/pulls': { status: 502, body: '<html>bad</html>' } } }),
    'when the label cannot be looked for': (sdk) => scripted(sdk, pull(LABEL), { labels: ['mine'], instead: { 'GET /repos/owner/repo/labels/mine': { status: 500, body: {} } } }),
    'when the label cannot be made': (sdk) => scripted(sdk, pull(LABEL), { labels: [], instead: { 'POST /repos/owner/repo/labels': { status: 422, body: {} } } }).then(({ complaints: _, ...rest }) => rest),
    'when the label cannot be given': (sdk) => scripted(sdk, pull(LABEL), { labels: ['mine'], instead: { 'POST /repos/owner/repo/issues/1/labels': { status: 403, body: {} } } }),
    'when fetch fails': (sdk) => scripted(sdk, pull(), { fetch: () => { throw new RangeError('no network here') } }).then(({ result, calls }) => ({ calls, thrown: 'rejected' in result })),
    ...Object.fromEntries(Object.entries(AGENTS).filter(([name]) => ['gemini', 'grok'].includes(name)).map(([name, agent]) => [
      `worded by ${name}`, (sdk) => scripted(sdk, pull(), { agent: { ...agent, model: undefined } }),
    ])),
    ...Object.fromEntries(VENDORS.map((provider) => [
      `worded by codex of ${provider}`, (sdk) => scripted(sdk, pull(), { agent: { ...AGENTS.codex, provider, model: undefined } }),
    ])),
    'worded by OpenAI, with a key of the host': (sdk) => withEnv({ OPENAI_API_KEY: 'sk' }, () => scripted(sdk, pull(), { agent: { ...AGENTS.codex, model: undefined } })),
    'when the model refuses the key': (sdk) => scripted(sdk, pull(), { first: [{ status: 401, body: { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } } }] })
      .then(({ result, ...rest }) => ({ ...rest, message: result.rejected.message })),
    'when the model uses no tool': (sdk) => scripted(sdk, pull(), { first: [{ status: 200, body: { id: 'm', type: 'message', role: 'assistant', model: 'm', content: [{ type: 'text', text: 'Hm.' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } } }] })
      .then(({ result, ...rest }) => ({ ...rest, message: result.rejected.message })),
    'when the model is busy once': (sdk) => scripted(sdk, pull(), { first: [{ status: 503, body: { type: 'error', error: { type: 'overloaded_error', message: 'busy' } } }] }),
  }),

  ...scenarios('pushToBranch', {
    'of a change': (sdk) => scripted(sdk, push('topic')),
    'that is not there': (sdk) => scripted(sdk, push('topic'), { says: { ...CHANGED, 'git checkout topic': new Error('none') } }),
    'that can neither be had nor made': (sdk) => scripted(sdk, push('topic'), { says: { 'git checkout': new Error('none'), ...CHANGED } }),
    'of the last command': (sdk) => scripted(sdk, async (kit) => {
      await kit.executeCommand('x', { branch: 'topic' })
      return kit.pushToBranch()
    }),
    'of the last turn': (sdk) => scripted(sdk, async (kit) => {
      await kit.generateCode({ prompt: 'x', mode: 'ask', branch: 'topic' })
      return kit.pushToBranch()
    }).then(({ calls, result }) => ({ result, lines: linesOf({ calls }).filter((line) => line.includes('git ')) })),
    'of none': (sdk) => scripted(sdk, push()),
    'of an empty name': (sdk) => scripted(sdk, push('')),
    'of nothing': (sdk) => scripted(sdk, push('topic'), { says: UNCHANGED }),
    'of a new file alone': (sdk) => scripted(sdk, push('topic'), { says: { ...UNCHANGED, 'ls-files': 'new.txt\n' } }),
    'without a token': (sdk) => scripted(sdk, push('topic'), { secrets: {} }),
    'with a model of one\'s own': (sdk) => scripted(sdk, push('topic'), { agent: { ...CLAUDE, model: 'claude-mine' } }),
    'of a resumed session': (sdk) => scripted(sdk, push('topic'), { configure: (kit) => kit.withSession('kept') }),
    'with slashes and dots': (sdk) => scripted(sdk, push('feat/a.b_c-1')),
    ...Object.fromEntries(['git status', 'git ls-files', '--no-color HEAD', 'git commit', 'git push'].map((part) => [
      `when ${part} is rejected`, (sdk) => scripted(sdk, push('topic'), { says: { [part]: new Error('refused'), ...CHANGED } }),
    ])),
  }),

  ...scenarios('mergePullRequest', {
    'by default': (sdk) => merging(sdk, merge()),
    'with everything': (sdk) => merging(sdk, merge({ commitTitle: 'Title', commitMessage: 'Message', mergeMethod: 'squash' })),
    'by rebasing': (sdk) => merging(sdk, merge({ mergeMethod: 'rebase' })),
    'of a path with more parts': (sdk) => merging(sdk, merge({ repository: 'owner/repo/tree/main' })),
    'without a token': (sdk) => merging(sdk, merge(), { secrets: {} }),
    'without secrets': (sdk) => merging(sdk, merge(), { secrets: undefined }),
    'without a repository': (sdk) => merging(sdk, merge({ repository: undefined })),
    'of half a repository': (sdk) => merging(sdk, merge({ repository: 'owner' })),
    'without an owner': (sdk) => merging(sdk, merge({ repository: '/repo' })),
    'without a number': (sdk) => merging(sdk, merge({ pullNumber: undefined })),
    'of number 0': (sdk) => merging(sdk, merge({ pullNumber: 0 })),
    'of a number that is text': (sdk) => merging(sdk, merge({ pullNumber: '7' })),
    'of nothing': (sdk) => merging(sdk, (kit) => kit.mergePullRequest()).then(({ result }) => result.rejected.name),
    ...Object.fromEntries([
      [404, { message: 'Not Found' }], [405, {}], [422, { message: 'bad sha' }], [422, {}], [403, { message: 'Forbidden' }], [409, { message: 'Head branch was modified' }],
    ].map(([status, body]) => [`answered ${status} ${JSON.stringify(body)}`, (sdk) => merging(sdk, merge(), answered(status, body))])),
    'when fetch rejects': (sdk) => merging(sdk, merge(), { fetch: () => Promise.reject(new TypeError('fetch failed')) }),
    'with a stand-in that has json() alone': (sdk) => merging(sdk, merge(), { fetch: async () => ({ ok: true, status: 200, json: async () => ({ sha: 'a', merged: true, message: 'm', more: 1 }) }) }),
  }),

  ...scenarios('cloneRepository', {
    'of a public repository': (sdk) => scripted(sdk, clone(), { secrets: {} }),
    'into a directory': (sdk) => scripted(sdk, clone('/srv/app'), { secrets: {} }),
    'into the working directory of the setup': (sdk) => scripted(sdk, clone(), { secrets: {}, configure: (kit) => kit.withWorkingDirectory('/srv/app') }),
    'of a resumed session': (sdk) => scripted(sdk, clone(), { secrets: {}, configure: (kit) => kit.withSession('kept') }),
    'twice': (sdk) => scripted(sdk, async (kit) => [await kit.cloneRepository('owner/repo'), await kit.cloneRepository('owner/other')], { secrets: {} }),
    'that prints': async (sdk) => {
      const { kit, events } = observe(sdk, { run: (line, { onStdout, onStderr }) => { onStdout(`out of ${line.slice(0, 8)}`); onStderr('{"half":'); return success } })
      return { result: await outcome(kit.cloneRepository('owner/repo')), events }
    },
    'of a private repository, without a token': (sdk) => scripted(sdk, clone(), { secrets: {}, says: { 'git clone': new Error('exit status 128') } }),
    'when the directory cannot be made': (sdk) => scripted(sdk, clone(), { secrets: {}, says: { mkdir: new Error('read-only file system') } }),
    'when git has no identity': (sdk) => scripted(sdk, clone(), { secrets: {}, says: { 'git config': new Error('exit status 1') } }),
    'with a token that does not help': (sdk) => scripted(sdk, clone(), { says: { 'git clone': new Error('exit status 128') } }).then(({ result }) => result),
  }),

  ...scenarios('real git', {
    ...Object.fromEntries(['bash', 'dash'].map((shell) => [
      `a clone, a branch and a push under ${shell}`, (sdk) => real(sdk, async ({ kit, write, inside }) => {
        await kit.cloneRepository('owner/repo')
        await kit.executeCommand('true', { branch: 'topic' })
        write('a.txt', 'one\n')
        await kit.pushToBranch()
        write('a.txt', 'two\n')
        await kit.pushToBranch('topic')
        return [await outcome(kit.pushToBranch('topic')), inside('log', '--format=%s %an %ae', 'topic'), inside('branch', '-vv', '--no-color')]
      }, { shell }).then(({ lines, events: _, ...rest }) => ({ ...rest, lines: lines.filter(([line]) => !line.includes('git clone')) })),
    ])),
    'a pull request of a change and a new file': (sdk) => real(sdk, async ({ kit, write }) => {
      await kit.cloneRepository('owner/repo')
      write('README.md', 'hello, world\n')
      write('new.txt', 'new\n')
      return kit.createPullRequest('owner/repo', LABEL)
    }).then(({ told, refs, requests, complaints }) => ({ told, refs, requests, complaints })),
    'a pull request of a new file alone': (sdk) => real(sdk, async ({ kit, write }) => {
      await kit.cloneRepository('owner/repo')
      write('new.txt', 'new\n')
      return kit.createPullRequest('owner/repo')
    }).then(({ told, refs, requests, complaints }) => ({ told, refs, requests, complaints })),
    'a branch that exists, and one that does not': (sdk) => real(sdk, async ({ kit }) => {
      await kit.cloneRepository('owner/repo')
      const told = []
      for (const branch of ['main', 'topic', 'main', 'topic']) told.push(await kit.executeCommand('git branch --show-current', { branch }))
      return told
    }).then(({ told, events }) => ({ told, events: events.filter(([, message]) => typeof message === 'string' && message.includes('"git"')) })),
    'a branch outside of a repository': (sdk) => real(sdk, ({ kit }) => kit.executeCommand('echo here', { branch: 'topic' })).then(({ told, events }) => ({ told, events: events.filter(([, message]) => message.includes('"git"')) })),
    'a repository that is not there': (sdk) => real(sdk, ({ kit }) => outcome(kit.cloneRepository('owner/missing'))).then(({ told }) => told),
    'nothing to push': (sdk) => real(sdk, async ({ kit }) => {
      await kit.cloneRepository('owner/repo')
      return [await outcome(kit.pushToBranch('topic')), await outcome(kit.createPullRequest('owner/repo'))]
    }).then(({ told, refs }) => ({ told, refs })),
  }),

  deviation('D12', 'the words of a model are words, whatever they mean to a shell', (sdk) => real(sdk, async ({ kit, write }) => {
    await kit.cloneRepository('owner/repo')
    write('a.txt', 'a\n')
    return outcome(kit.pushToBranch('topic'))
  }, { words: WORDS }).then(({ refs }) => refs), (ours, theirs, expect) => {
    expect(ours).toContain(` ${WORDS.commitMessage} github-actions[bot]`)
    expect(theirs).not.toContain(WORDS.commitMessage)
  }),
  deviation('D13', 'a clone names the variable that holds the token, not the token', (sdk) => scripted(sdk, clone()), (ours, theirs, expect) => {
    expect(JSON.stringify(linesOf(theirs))).toContain(TOKEN)
    expect(JSON.stringify(linesOf(ours))).not.toContain(TOKEN)
    const [before, theirClone, after] = linesOf(theirs)
    const [first, ourClone, last] = linesOf(ours)
    expect([first, last]).toEqual([before, after])
    expect(theirClone).toBe(`cd /vibe0 && git clone https://x-access-token:${TOKEN}@github.com/owner/repo.git .`)
    expect(ourClone).toMatch(/^cd \/vibe0 && git clone -c '.*\$GH_TOKEN.*' https:\/\/github\.com\/owner\/repo\.git \.$/)
    expect({ ...ours, calls: [] }).toEqual({ ...theirs, calls: [] })
  }),
  deviation('D13', 'the remote of a clone has no token in its address', (sdk) => real(sdk, async ({ kit, inside }) => {
    await kit.cloneRepository('owner/repo')
    return inside('config', '--get', 'remote.origin.url')
  }).then(({ told }) => told), (ours, theirs, expect) => {
    expect(ours).toBe('https://github.com/owner/repo.git\n')
    expect(theirs).toBe('https://x-access-token:***@github.com/owner/repo.git\n')
  }),
  deviation('D14', 'branches have directories of their own', (sdk) => real(sdk, async ({ kit, write, inside }) => {
    await kit.cloneRepository('owner/repo')
    const places = []
    for (const branch of ['topic', 'other', 'topic']) places.push((await kit.executeCommand('pwd', { branch })).stdout)
    write('../repo-wt/topic/a.txt', 'a\n')
    await kit.pushToBranch()
    return { places, here: inside('branch', '--show-current') }
  }, { configure: (kit) => kit.withWorktrees() }).catch((error) => ({ failed: error.message })), (ours, theirs, expect) => {
    expect(ours.told).toEqual({ places: ['/w/repo-wt/topic\n', '/w/repo-wt/other\n', '/w/repo-wt/topic\n'], here: 'main\n' })
    expect(ours.refs).toContain('refs/heads/topic')
    expect(theirs.failed).toContain('repo-wt')
  }),
  ...['git commit', 'git push', 'git clone'].map((part) =>
    deviation('D15', `a provider that resolves with a code does not hide that ${part} failed`, (sdk) => {
      const says = { ...CHANGED, [part]: { exitCode: 1, stdout: '', stderr: 'no' } }
      return scripted(sdk, part === 'git clone' ? clone() : push('topic'), { says, secrets: {} }).then(({ result }) => result)
    }, (ours, theirs, expect) => {
      expect(theirs.rejected).toBeUndefined()
      expect(ours.rejected.message).toMatch(part === 'git clone' ? /^Failed to clone repository 'owner\/repo'/ : `${part} exited with code 1: no`)
    })),
  deviation('D16', 'the configured model words pull requests', (sdk) => scripted(sdk, pull(), { agent: { ...CLAUDE, model: 'claude-mine' } }).then(({ requests }) => JSON.parse(requests[0].body).model), (ours, theirs, expect) => {
    expect([ours, theirs]).toEqual(['claude-mine', 'claude-3-5-sonnet-20240620'])
  }),
  deviation('D16', 'the configured key is OpenAI\'s', (sdk) => scripted(sdk, pull(), { agent: { ...AGENTS.codex, model: undefined } }), (ours, theirs, expect) => {
    expect(theirs.result.rejected.message).toMatch(/^OpenAI API key is missing/)
    expect(ours.result.value.number).toBe(1)
    expect(ours.requests[0].headers).toContainEqual(['authorization', 'Bearer sk'])
    expect(ours.complaints).toEqual([])
  }),
  deviation('D16', 'Google\'s models are Gemini\'s', (sdk) => scripted(sdk, pull(), { agent: { ...AGENTS.opencode, provider: 'google', model: undefined } }), (ours, theirs, expect) => {
    expect(theirs.result.rejected.message).toBe('Unsupported provider: google')
    expect(ours.result.value.number).toBe(1)
    expect(new URL(ours.requests[0].url).host).toBe('generativelanguage.googleapis.com')
  }),
  deviation('D16', 'a subscription of Claude\'s authenticates as one', (sdk) => scripted(sdk, pull(), { agent: { ...CLAUDE, apiKey: undefined, oauthToken: 'oat' } }), (ours, theirs, expect) => {
    expect(theirs.requests[0].headers).toContainEqual(['x-api-key', 'oat'])
    expect(ours.requests[0].headers).toContainEqual(['authorization', 'Bearer oat'])
    expect(ours.complaints).toEqual([])
  }),
  deviation('D27', 'names of labels are encoded', (sdk) => scripted(sdk, pull({ ...LABEL, name: 'my label 🚀' })), (ours, theirs, expect) => {
    const asked = ({ requests }) => requests.map(({ url }) => url).find((url) => url.includes('/labels/'))
    expect(asked(ours)).toBe(`https://api.github.com/repos/owner/repo/labels/${encodeURIComponent('my label 🚀')}`)
    expect(asked(theirs)).toContain('my label 🚀')
    expect(ours.complaints).toEqual([])
  }),
  deviation('D27', 'a branch git would refuse is made one it takes', (sdk) => real(sdk, async ({ kit, write }) => {
    await kit.cloneRepository('owner/repo')
    write('a.txt', 'a\n')
    return outcome(kit.createPullRequest('owner/repo'))
  }, { words: { ...WORDS, branchName: 'Add a greeting..now' } }).then(({ told, refs }) => ({ told, refs })), (ours, theirs, expect) => {
    expect(theirs.told.rejected).toBeDefined()
    expect(ours.told.value.branchName).toBe('Add-a-greeting.-now')
    expect(ours.refs).toContain('refs/heads/Add-a-greeting.-now')
  }),
  deviation('D27', 'a detached HEAD is no base', (sdk) => scripted(sdk, pull(), { says: { ...CHANGED, 'rev-parse --abbrev-ref': 'HEAD\n' } }).then(({ requests }) => JSON.parse(requests.find(({ url }) => url.endsWith('/pulls')).body).base), (ours, theirs, expect) => {
    expect([ours, theirs]).toEqual(['main', 'HEAD'])
  }),
  deviation('D27', 'a repository may be given by its address', (sdk) => scripted(sdk, (kit) => kit.createPullRequest('https://github.com/owner/repo.git')).then(({ requests }) => requests.map(({ url }) => url)), (ours, theirs, expect) => {
    expect(ours).toContain('https://api.github.com/repos/owner/repo/pulls')
    expect(theirs).not.toContain('https://api.github.com/repos/owner/repo/pulls')
  }),
  deviation('D25', 'an answer of GitHub\'s that is no JSON is called that', (sdk) => merging(sdk, merge(), answered(502, '<html>bad</html>')).then(({ result }) => result.rejected), (ours, theirs, expect) => {
    expect(theirs.name).toBe('SyntaxError')
    expect(ours).toEqual({ name: 'Error', message: 'Failed to merge pull request #7: 502 ' })
  }),
]
