'use strict'

/** The sub-path `services`, as seen from outside. */

/** @typedef {import('./support/runner').Scenario} Scenario */
/** @typedef {import('./support/runner').Subject} Subject */

const { call, outcomes, FORMAT } = require('./support/write')

/** @param {string} text */
const base64 = (text) => Buffer.from(text).toString('base64')

/** @param {(client: any) => unknown} work @param {object} [config] @returns {Scenario['run']} */
const docker = (work, config) => (the) => work(new the.services.DockerClient({ retryDelayMs: 1, logger: the.logger(), ...config }))

/** @param {(config: any) => unknown} work @returns {Scenario['run']} */
const settings = (work) => (the) => work(new the.services.ConfigManager({ logger: the.logger() }))

const DENIED = { err: 'denied: no access\n', exit: 1 }
const ABSENT = { err: 'Error: No such image\n', exit: 1 }
const DOWN = { err: 'Cannot connect to the Docker daemon\n', exit: 1 }

const NAMES = ['ubuntu', 'A/B', 'localhost:5000/x:1', 'a:b:c', 'a:', 'a/', 'a..b', '0']
const BAD_NAMES = ['-x', '.x', '_x', '/a', ':x', 'a b', ' a', 'a;touch x', 'a$(x)', 'a`x`', 'a|x', 'a\n', 'é', '<none>:<none>', 'a@sha256:abc', '']
const DIGEST = `ubuntu@sha256:${'0f'.repeat(32)}`

/** The calls that make no sense to upstream's shell, or too much. @param {(name: string) => unknown} refused */
const refusedAll = (refused) => BAD_NAMES.map((name) => [name, refused(name)])
const invalid = (/** @type {string} */ name) => `failed: Invalid image name: ${name}`

/** @type {Scenario[]} */
const images = [
  { name: 'pull', run: docker((client) => client.pullImage('library/ubuntu:24.04')) },
  { name: 'pull fails every time', rules: [{ on: 'docker pull*', out: 'Pulling\n', ...DENIED }], run: docker((client) => client.pullImage('a:b')) },
  { name: 'pull works at the third attempt', rules: [{ on: 'docker pull*', ...DENIED, times: 2 }], run: docker((client) => client.pullImage('a:b')) },
  { name: 'pull by digest', run: docker((client) => client.pullImage(DIGEST)) },
  { name: 'push', run: docker((client) => client.pushImage('a/b:c')) },
  { name: 'push fails without a word', rules: [{ on: 'docker push*', exit: 3 }], run: docker((client) => client.pushImage('a:b')) },
  { name: 'one attempt', rules: [{ on: 'docker push*', ...DENIED }], run: docker((client) => client.pushImage('a'), { retryAttempts: 1 }) },
  { name: 'no attempt', run: docker((client) => client.pushImage('a'), { retryAttempts: 0 }) },
  { name: 'undefined options are defaults', rules: [{ on: 'docker push*', ...DENIED }], run: docker((client) => client.pushImage('a'), { retryAttempts: undefined }) },
  { name: 'defaults', run: docker(({ config }) => [config.retryAttempts, config.retryDelayMs], { retryDelayMs: undefined }) },
  { name: 'build', run: docker((client) => client.buildImage('Dockerfile', 't:1', '../context')) },
  { name: 'build in the working directory', run: docker((client) => client.buildImage('/a/Dockerfile', 't:1')) },
  { name: 'build fails, once', rules: [{ on: 'docker build*', out: 'Step 1\n', err: 'no such file\n', exit: 1 }], run: docker((client) => client.buildImage('Dockerfile', 't:1', 'c')) },
  { name: 'tag', run: docker((client) => client.tagImage('a', 'b/c:d')) },
  { name: 'tag by digest', run: docker((client) => client.tagImage(DIGEST, 'b/c:d')) },
  { name: 'tag fails, once', rules: [{ on: 'docker tag*', ...ABSENT }], run: docker((client) => client.tagImage('a', 'b')) },
  { name: 'list', rules: [{ on: 'docker images*', out: 'a:1\n\n b:2 \n<none>:<none>\r\n  \nc\n' }], run: docker((client) => client.listImages()) },
  { name: 'list some', rules: [{ on: 'docker images*', out: 'a:1\n' }], run: docker((client) => client.listImages('a')) },
  { name: 'list without a filter', run: docker((client) => client.listImages('')) },
  { name: 'list fails', rules: [{ on: 'docker images*', ...DOWN }], run: docker((client) => client.listImages()) },
  { name: 'list some fails', rules: [{ on: 'docker images*', ...DOWN }], run: docker((client) => client.listImages('x')) },
  { name: 'remove', run: docker((client) => client.removeImage('a:1')) },
  { name: 'remove by force', run: docker((client) => client.removeImage('a:1', true)) },
  { name: 'remove fails', rules: [{ on: 'docker rmi*', ...ABSENT }], run: docker((client) => client.removeImage('a', true)) },
  { name: 'there', rules: [{ on: 'docker images -q*', out: '4bcff63911fc\n' }], run: docker((client) => client.checkLocalImage('a')) },
  { name: 'not there', rules: [{ on: 'docker images -q*', out: ' \n' }], run: docker((client) => client.checkLocalImage('a')) },
  { name: 'not there when docker fails', rules: [{ on: 'docker images -q*', out: 'x', exit: 1 }], run: docker((client) => client.checkLocalImage('a')) },
  { name: 'not there without docker', programs: [], run: docker((client) => client.checkLocalImage('a')) },
  { name: 'good names', run: docker((client) => outcomes(NAMES, (name) => client.removeImage(name))) },
  { name: 'bad names to remove', run: docker((client) => outcomes(BAD_NAMES, (name) => client.removeImage(name))) },
  { name: 'bad names to list', run: docker((client) => outcomes(BAD_NAMES.filter(Boolean), (name) => client.listImages(name))) },
  { name: 'bad names are not there', because: 'they reach no command line', run: docker((client) => outcomes(BAD_NAMES, (name) => client.checkLocalImage(name))), ours: { calls: [] } },
  {
    name: 'bad names to pull',
    because: 'they reach no command line',
    run: docker((client) => outcomes(BAD_NAMES, (name) => client.pullImage(name))),
    ours: { calls: [], log: [], value: refusedAll(invalid) },
  },
  {
    name: 'bad names to push',
    because: 'they reach no command line',
    run: docker((client) => outcomes(BAD_NAMES, (name) => client.pushImage(name))),
    ours: { calls: [], log: [], value: refusedAll(invalid) },
  },
  {
    name: 'bad names to tag',
    because: 'they reach no command line',
    run: docker((client) => outcomes(BAD_NAMES, (name) => client.tagImage(name, 'a'))),
    ours: { calls: [], value: refusedAll(invalid) },
  },
  {
    name: 'bad names to tag with',
    because: 'they reach no command line',
    run: docker((client) => outcomes(BAD_NAMES, (name) => client.tagImage('a', name))),
    ours: { calls: [], value: refusedAll(invalid) },
  },
  {
    name: 'bad names to build',
    because: 'they reach no command line',
    run: docker((client) => outcomes(BAD_NAMES, (name) => client.buildImage('Dockerfile', name))),
    ours: { calls: [], value: refusedAll(invalid) },
  },
  {
    name: 'paths with spaces and shell characters',
    because: 'they are arguments, whatever is in them',
    run: docker((client) => outcomes(['a b/Dockerfile', 'a;touch x', '$(touch x)', "it's"], (file) => client.buildImage(file, 't', file))),
    ours: {
      calls: ['a b/Dockerfile', 'a;touch x', '$(touch x)', "it's"].map((file) => call('docker build -t t -f', file, file)),
      value: ['a b/Dockerfile', 'a;touch x', '$(touch x)', "it's"].map((file) => [file, 'done']),
    },
  },
  {
    name: 'a context that is an option',
    because: 'it is refused, with a remedy',
    run: docker((client) => client.buildImage('Dockerfile', 't', '--output=/')),
    ours: {
      calls: [],
      error: { name: 'Error', message: 'Invalid build context: --output=/. Pass a path; one that begins with a dash is written ./-name.' },
    },
  },
  {
    name: 'no docker',
    because: 'no shell says so, and a remedy is named',
    programs: [],
    run: docker((client) => client.listImages()),
    ours: {
      error: {
        name: 'Error',
        message: `Command failed: docker images --format ${FORMAT}\ndocker: not found. Install it, or add its folder to PATH.`,
        code: 127,
        killed: false,
        signal: null,
        stdout: '',
        stderr: '',
      },
    },
  },
  {
    name: 'a build that says more than a MiB',
    because: 'it is no failure',
    rules: [{ on: 'docker build*', flood: 3 * 1024 * 1024 }],
    run: docker((client) => client.buildImage('Dockerfile', 't')),
    ours: { error: undefined },
  },
  {
    name: 'a pull that says more than a MiB',
    because: 'it is no failure, and not tried again',
    rules: [{ on: 'docker pull*', flood: 3 * 1024 * 1024 }],
    run: docker((client) => client.pullImage('a')),
    ours: { error: undefined, calls: [call('docker pull a')], log: [] },
  },
  {
    name: 'a long list',
    because: 'all of it is told',
    rules: [{ on: 'docker images*', flood: 3 * 1024 * 1024 }],
    run: docker(async (client) => (await client.listImages())[0].length),
    ours: { error: undefined, value: 3 * 1024 * 1024 },
  },
  {
    name: 'a default logger',
    because: 'silence is one',
    rules: [{ on: 'docker pull*', ...DENIED, times: 1 }],
    run: async (the) => {
      await new the.services.DockerClient({ retryDelayMs: 1 }).pullImage('a')
      return the.printed().length
    },
    ours: { value: 0 },
  },
]

const NO_TERMINAL = { on: 'docker login', err: 'Error: Cannot perform an interactive login from a non TTY device\n', exit: 1 }
const HUB = 'https://index.docker.io/v1/'

/** @param {unknown} config the CLI's settings */
const cli = (config) => ({ '.docker/config.json': typeof config === 'string' ? config : JSON.stringify(config) })

/** @type {Array<Omit<Scenario, 'run'>>} */
const logins = [
  { name: 'in brackets', rules: [{ on: 'docker login', out: 'Authenticating [Username: bob]\nLogin Succeeded\n' }] },
  { name: 'in brackets, on stderr', rules: [{ on: 'docker login', err: 'Existing credentials... [Username: bob-1_x.y]\n' }] },
  { name: 'behind a label', rules: [{ on: 'docker login', out: 'Username: bob\nLogin Succeeded\n' }] },
  { name: 'behind a label, with blanks', rules: [{ on: 'docker login', out: 'Username:   bob smith \n' }] },
  { name: 'brackets count first', rules: [{ on: 'docker login', out: 'Username: zed\n', err: '[Username: bob]' }] },
  { name: 'in the error of a failure', rules: [{ on: 'docker login', err: 'x [Username: bob]\n', exit: 1 }] },
  { name: 'not in the output of a failure', rules: [{ on: 'docker login', out: 'x [Username: bob]\n', exit: 1 }] },
  { name: 'without a name', rules: [{ on: 'docker login', out: 'Login Succeeded\n' }] },
  { name: 'by info', rules: [NO_TERMINAL, { on: 'docker info', out: ' Server:\n Username: dora\n Registry: x\n' }] },
  { name: 'by info, in brackets', rules: [NO_TERMINAL, { on: 'docker info', out: '[Username: dora]\n' }] },
  { name: 'not by the complaints of info', rules: [NO_TERMINAL, { on: 'docker info', err: 'Username: dora\n' }] },
  { name: 'not by info that fails', rules: [NO_TERMINAL, { on: 'docker info', out: 'Username: dora\n', err: 'Username: dora\n', exit: 1 }] },
  { name: 'nowhere', rules: [NO_TERMINAL] },
  { name: 'by the settings', rules: [NO_TERMINAL], home: cli({ auths: { [HUB]: { auth: base64('eve:pass:word') } } }) },
  { name: 'by the settings, old spelling', rules: [NO_TERMINAL], home: cli({ auths: { 'index.docker.io': { auth: base64('eve') } } }) },
  { name: 'by the settings, both spellings', rules: [NO_TERMINAL], home: cli({ auths: { [HUB]: { auth: base64('a:1') }, 'index.docker.io': { auth: base64('b:1') } } }) },
  { name: 'by the settings, first one empty', rules: [NO_TERMINAL], home: cli({ auths: { [HUB]: {}, 'index.docker.io': { auth: base64('b:1') } } }) },
  { name: 'by the settings, not of another registry', rules: [NO_TERMINAL], home: cli({ auths: { 'ghcr.io': { auth: base64('a:1') } } }) },
  { name: 'by the settings, empty name', rules: [NO_TERMINAL], home: cli({ auths: { [HUB]: { auth: base64(':1') } } }) },
  { name: 'by the settings, wrong type', rules: [NO_TERMINAL], home: cli({ auths: { [HUB]: { auth: 5 } } }) },
  { name: 'by the settings, null', rules: [NO_TERMINAL], home: cli('null') },
  { name: 'by the settings, no JSON', rules: [NO_TERMINAL], home: cli('{') },
  { name: 'by the settings, nothing in them', rules: [NO_TERMINAL], home: cli({}) },
  { name: 'by a credential store', rules: [NO_TERMINAL], home: cli({ credsStore: 'pass', auths: { [HUB]: {} } }) },
  { name: 'by a credential store, despite credentials', rules: [NO_TERMINAL], home: cli({ credsStore: 'pass', auths: { [HUB]: { auth: base64('eve:1') } } }) },
  { name: 'by a credential store with nothing in it', rules: [NO_TERMINAL], home: cli({ credsStore: 'pass', auths: {} }) },
  { name: 'by a credential store that does not work', rules: [NO_TERMINAL, { on: 'docker pull*', ...DENIED }], home: cli({ credsStore: 'pass', auths: { [HUB]: {} } }) },
  { name: 'by credential helpers', rules: [NO_TERMINAL], home: cli({ credHelpers: { 'gcr.io': 'gcr' }, auths: { [HUB]: {} } }) },
  { name: 'a command that hangs', rules: [{ on: 'docker login', hang: 'alone' }, { on: 'docker info', out: 'Username: dora\n' }], because: 'the reason is told, after the same five seconds', ours: { log: ['debug Docker login command check failed: | Command failed: docker login\ntimed out after 5 s'] } },
  {
    name: 'two prompts',
    because: 'the next prompt is nobody',
    rules: [{ on: 'docker login', out: 'Username: \nPassword: \n' }, { on: 'docker info', out: 'Username: dora\n' }],
    ours: { value: { isLoggedIn: true, username: 'dora', registry: HUB }, calls: [call('docker login'), call('docker info')] },
  },
  {
    name: 'a prompt',
    because: 'nobody answers it: upstream waits its five seconds',
    rules: [{ on: 'docker login', prompt: true, err: 'no answer\n', exit: 1 }],
    ours: { log: ['debug Docker login command check failed: | Command failed: docker login\nno answer\n', "debug Config check failed: | ENOENT: no such file or directory, open '{dir}/home/.docker/config.json'"], ms: 4_000 },
  },
]

const FILE = '.vibekit/config.json'

/** What this version of Node.js says about it. @param {string} text */
function complaint(text) {
  try {
    return JSON.parse(text)
  } catch (error) {
    return /** @type {Error} */ (error).message
  }
}

/** @type {Scenario[]} */
const config = [
  { name: 'none', run: settings((one) => one.getConfig()) },
  { name: 'read', home: { [FILE]: '{"a":{"b":1}}' }, run: settings((one) => one.getConfig()) },
  { name: 'no JSON', home: { [FILE]: '{' }, run: settings((one) => one.getConfig()) },
  { name: 'empty', home: { [FILE]: '' }, run: settings((one) => one.getConfig()) },
  { name: 'a list', home: { [FILE]: '[1]' }, run: settings((one) => one.getConfig()) },
  { name: 'a folder', home: { [`${FILE}/x`]: '' }, run: settings((one) => one.getConfig()) },
  { name: 'null', because: 'it is as good as nothing', home: { [FILE]: 'null' }, run: settings(async (one) => [await one.getConfig(), await one.preferRegistryImages()]), ours: { error: undefined, value: [{}, true] } },
  { name: 'save', run: settings((one) => one.saveConfig({ a: 1, b: { c: [1] } })) },
  { name: 'save over', home: { [FILE]: '{"a":1}' }, run: settings((one) => one.saveConfig({ b: 2 })) },
  { name: 'save what is no JSON', run: settings((one) => one.saveConfig({ a: 1n })) },
  { name: 'save where no folder can be', home: { '.vibekit': '' }, run: settings((one) => one.saveConfig({})) },
  { name: 'update', home: { [FILE]: '{"a":1,"registryImages":{"codex":"1"}}' }, run: settings((one) => one.updateConfig({ b: 2, registryImages: { claude: '2' } })) },
  { name: 'update nothing', run: settings((one) => one.updateConfig({ a: 1 })) },
  { name: 'update with undefined', home: { [FILE]: '{"a":1,"b":1}' }, run: settings((one) => one.updateConfig({ a: undefined })) },
  {
    name: 'update no JSON',
    because: 'what somebody wrote is kept',
    home: { [FILE]: '{"dockerHubUser": "bob",}' },
    run: settings((one) => one.updateConfig({ a: 1 })),
    ours: {
      home: { [FILE]: '{\n  "a": 1\n}', [`${FILE}.invalid`]: '{"dockerHubUser": "bob",}' },
      log: [`warn Failed to read config file: ${complaint('{"dockerHubUser": "bob",}')}`, `warn Starting anew; what was there is kept in {dir}/home/${FILE}.invalid`],
    },
  },
  { name: 'user', run: settings(async (one) => [await one.getDockerHubUser(), await one.setDockerHubUser('bob'), await one.getDockerHubUser()]) },
  {
    name: 'images',
    run: settings(async (one) => {
      const before = await one.getRegistryImage('codex')
      await one.setRegistryImage('codex', 'a/b')
      await one.setRegistryImage('claude', 'a/c')
      await one.setRegistryImages({ gemini: 'a/d', codex: 'a/e' })
      return [before, await one.getRegistryImage('codex'), await one.getConfig()]
    }),
  },
  { name: 'no images yet', home: { [FILE]: '{"registryImages":null}' }, run: settings(async (one) => [await one.getRegistryImage('codex'), await one.setRegistryImage('codex', 'x'), await one.getConfig()]) },
  { name: 'preferences', run: settings(async (one) => [await one.preferRegistryImages(), await one.shouldPushImages()]) },
  { name: 'preferences, set', home: { [FILE]: '{"preferRegistryImages":false,"pushImages":null}' }, run: settings(async (one) => [await one.preferRegistryImages(), await one.shouldPushImages()]) },
  { name: 'paths', run: settings((one) => [one.getConfigPath(), one.getConfigDir(), one.configExists()]) },
  { name: 'a folder of its own', run: async (the) => {
    const one = new the.services.ConfigManager({ configPath: './x/../settings', logger: the.logger() })
    await one.saveConfig({ a: 1 })
    return [one.getConfigPath(), one.getConfigDir(), one.configExists(), await one.getConfig()]
  } },
  { name: 'delete', home: { [FILE]: '{}' }, run: settings(async (one) => [one.configExists(), await one.deleteConfig(), one.configExists()]) },
  { name: 'delete nothing', run: settings((one) => one.deleteConfig()) },
  { name: 'delete a folder', home: { [`${FILE}/x`]: '' }, run: settings((one) => one.deleteConfig()) },
  { name: 'reset', home: { [FILE]: '{"a":1}' }, run: settings((one) => one.resetConfig()) },
]

module.exports = [
  ...images.map((scenario) => ({ ...scenario, name: `image: ${scenario.name}` })),
  ...logins.map((scenario) => ({ ...scenario, name: `login: ${scenario.name}`, run: docker((client) => client.checkDockerLogin()) })),
  ...config.map((scenario) => ({ ...scenario, name: `settings: ${scenario.name}` })),
]
