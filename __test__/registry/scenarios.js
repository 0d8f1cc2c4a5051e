'use strict'

/** The sub-path `registry`, as seen from outside. */

/** @typedef {import('../services/support/runner').Scenario} Scenario */
/** @typedef {import('../services/support/runner').Subject} Subject */

const { call, outcomes } = require('../services/support/write')

/** @param {string} name @param {object} [defaults] */
const registry = (name, defaults) => (/** @type {(one: any, the: Subject) => unknown} */ work, /** @type {object} */ config = {}) => {
  return (/** @type {Subject} */ the) => work(new the.registry[name]({ retryDelayMs: 1, logger: the.logger(), ...defaults, ...config }), the)
}

const FILE = '.vibekit/config.json'
/** @param {object} config */
const settings = (config) => ({ home: { [FILE]: JSON.stringify(config) } })

const ALL_THERE = { on: 'docker images -q*', out: '4bcff63911fc\n' }
const CODEX_THERE = { on: 'docker images -q vibekit-codex*', out: '4bcff63911fc\n' }
const NO_PUSH = { on: 'docker push*', err: 'denied\n', exit: 1 }
const NO_PULL = { on: 'docker pull*', err: 'manifest unknown\n', exit: 1 }
const NO_TAG = { on: 'docker tag*', err: 'No such image\n', exit: 1 }
const NO_LOGIN = { on: 'docker login*', err: 'unauthorized\n', exit: 1 }

/** What the daemon knows of. @param {...string} registries */
const known = (...registries) => ({
  on: 'docker system info*',
  out: JSON.stringify({ RegistryConfig: { IndexConfigs: Object.fromEntries(registries.map((name) => [name, {}])) } }),
})

const hub = registry('DockerHubRegistry')
const BOB = { on: 'docker login', out: '[Username: bob]\n' }

/** @type {Scenario[]} */
const dockerHub = [
  { name: 'who it is', run: hub((one) => [one.getRegistryName(), one.getRegistryUrl()]) },
  { name: 'logged in', rules: [BOB], run: hub((one) => one.checkLogin()) },
  { name: 'not logged in', rules: [NO_LOGIN], run: hub((one) => one.checkLogin()) },
  { name: 'name, of the user given', ...settings({ dockerHubUser: 'eve' }), run: hub((one) => one.getImageName('codex', 'ann')) },
  { name: 'name, of the user in the settings', ...settings({ dockerHubUser: 'eve' }), rules: [BOB], run: hub((one) => one.getImageName('codex')) },
  { name: 'name, of the user logged in', rules: [BOB], run: hub((one) => one.getImageName('codex', '')) },
  { name: 'name, of nobody', rules: [NO_LOGIN], run: hub((one) => one.getImageName('codex')) },
  { name: 'name, chosen', ...settings({ registryImages: { codex: 'x/y:z' } }), run: hub((one) => one.getImageName('codex', 'ann')) },
  { name: 'upload all', rules: [ALL_THERE], run: hub((one) => one.uploadImages('ann')) },
  { name: 'upload none means all', rules: [ALL_THERE], run: hub((one) => one.uploadImages('ann', [])) },
  { name: 'upload some', rules: [ALL_THERE], run: hub((one) => one.uploadImages('ann', ['codex', 'claude'])) },
  { name: 'upload what is there', rules: [CODEX_THERE], run: hub((one) => one.uploadImages('ann', ['claude', 'codex'])) },
  { name: 'upload what is not there', run: hub((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'upload an agent of your own', rules: [ALL_THERE], run: hub((one) => one.uploadImages('ann', ['mine'])) },
  { name: 'upload fails at the push', rules: [ALL_THERE, NO_PUSH], run: hub((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'upload fails at the tag', rules: [ALL_THERE, NO_TAG], run: hub((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'upload, attempts configured', rules: [ALL_THERE, NO_PUSH], run: hub((one) => one.uploadImages('ann', ['codex']), { retryAttempts: 1 }) },
  {
    name: 'upload for a user who would be a command',
    because: 'the name reaches no command line',
    rules: [ALL_THERE],
    run: hub((one) => one.uploadImages('$(touch x)', ['codex'])),
    ours: {
      value: { success: false, results: [{ agentType: 'codex', success: false, error: 'Invalid image name: $(touch x)/vibekit-codex:latest' }] },
      calls: [call('docker images -q vibekit-codex:latest')],
      log: [
        "info Uploading VibeKit images to $(touch x)'s Docker Hub account",
        'info Processing codex agent',
        'error Failed to upload codex image | Error<Invalid image name: $(touch x)/vibekit-codex:latest>',
        'info Upload complete: 0/1 images uploaded',
      ],
    },
  },
  {
    name: 'upload for nobody',
    because: 'there is no account of the name undefined',
    rules: [ALL_THERE],
    run: hub((one) => one.uploadImages(undefined, ['codex'])),
    ours: {
      value: undefined,
      error: { name: 'TypeError', message: 'dockerHubUser must be a string, got undefined. Pass the name of the Docker Hub account.', code: 'INVALID_TYPE' },
      calls: [],
      log: [],
    },
  },
  { name: 'pull', run: hub((one) => one.pullImage('a/b')) },
  { name: 'pull fails', rules: [NO_PULL], run: hub((one) => one.pullImage('a/b')) },
  { name: 'there', rules: [ALL_THERE], run: hub((one) => one.checkLocalImage('a/b')) },
  { name: 'setup', rules: [BOB, ALL_THERE], run: hub((one) => one.setupRegistry(['codex', 'claude'])) },
  { name: 'setup, partly', rules: [BOB, CODEX_THERE], run: hub((one) => one.setupRegistry()) },
  { name: 'setup, nothing uploaded', rules: [BOB], run: hub((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, not logged in', rules: [NO_LOGIN], run: hub((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, nothing can be saved', home: { '.vibekit': '' }, rules: [BOB, ALL_THERE], run: hub((one) => one.setupRegistry(['codex'])) },
  {
    name: 'setup beside other settings',
    because: 'they stay',
    ...settings({ keep: 1, dockerHubUser: 'eve', registryImages: { claude: 'a/b' }, preferRegistryImages: false }),
    rules: [BOB, ALL_THERE],
    run: hub((one) => one.setupRegistry(['codex'])),
    ours: merged(
      { keep: 1, dockerHubUser: 'bob', registryImages: { claude: 'a/b', codex: 'bob/vibekit-codex:latest' }, preferRegistryImages: false, lastImageBuild: '{moment}' },
    ),
  },
]

/** @param {object} config */
function merged(config) {
  return { value: { success: true, config }, home: { [FILE]: JSON.stringify(config, null, 2) } }
}

const github = registry('GitHubContainerRegistry')
const GHCR = known('docker.io', 'ghcr.io')
const GIT = { on: 'git config*', out: 'Bob  J\tSmith\n' }
const TOKEN = { githubToken: 'ghp_0123456789' }

/** @type {Scenario[]} */
const ghcr = [
  { name: 'who it is', run: github((one) => [one.getRegistryName(), one.getRegistryUrl()]) },
  { name: 'login', run: github((one) => one.login('ann'), TOKEN) },
  { name: 'login, token of the environment', env: { GITHUB_TOKEN: 'ghp_env' }, run: github((one) => one.login('ann'), { githubToken: '' }) },
  { name: 'login, token given counts first', env: { GITHUB_TOKEN: 'ghp_env' }, run: github((one) => one.login('ann'), TOKEN) },
  { name: 'login, no token', run: github((one) => one.login('ann')) },
  {
    name: 'login fails',
    because: 'the token is in no error',
    rules: [{ on: 'docker login*', err: 'bad password ghp_0123456789\n', exit: 1 }],
    run: github((one) => one.login('ann'), TOKEN),
    ours: { error: { name: 'Error', message: 'Failed to login to ghcr.io: Command failed: docker login ghcr.io -u ann --password-stdin\nbad password ***\n' } },
  },
  {
    name: 'login, a token the shell would read',
    because: 'it arrives as it is',
    run: github((one) => one.login('ann'), { githubToken: "to k$x`y`\"'" }),
    ours: { calls: [{ ...call('docker login ghcr.io -u ann --password-stdin'), stdin: "to k$x`y`\"'" }], error: undefined, log: ['info Successfully logged into ghcr.io as ann'] },
  },
  {
    name: 'login, a user the shell would run',
    because: 'it is one argument',
    run: github((one) => one.login('ann;touch x;true'), TOKEN),
    ours: {
      calls: [{ ...call('docker login ghcr.io -u', 'ann;touch x;true', '--password-stdin'), stdin: TOKEN.githubToken }],
    },
  },
  { name: 'logged in', rules: [GHCR, GIT], run: github((one) => one.checkLogin()) },
  { name: 'logged in, under its address', rules: [known('https://ghcr.io/v2'), GIT], run: github((one) => one.checkLogin()) },
  { name: 'logged in, git knows nobody', rules: [GHCR, { on: 'git*', exit: 1 }], run: github((one) => one.checkLogin()) },
  { name: 'logged in, git knows an empty name', rules: [GHCR, { on: 'git*', out: '\n' }], run: github((one) => one.checkLogin()) },
  { name: 'not logged in', rules: [known('docker.io')], run: github((one) => one.checkLogin()) },
  { name: 'nothing known', rules: [{ on: 'docker system*', out: '{}' }], run: github((one) => one.checkLogin()) },
  { name: 'login unknown: no JSON', rules: [{ on: 'docker system*', out: '{' }], run: github((one) => one.checkLogin()) },
  { name: 'login unknown: no daemon', rules: [{ on: 'docker system*', err: 'x\n', exit: 1 }], run: github((one) => one.checkLogin()) },
  { name: 'name, of the user given', run: github((one) => one.getImageName('codex', 'Ann')) },
  { name: 'name, of git', rules: [GHCR, GIT], run: github((one) => one.getImageName('codex')) },
  { name: 'name, of nobody', rules: [known()], run: github((one) => one.getImageName('codex')) },
  { name: 'name, chosen', ...settings({ registryImages: { codex: 'ghcr.io/y:z' } }), run: github((one) => one.getImageName('codex', 'ann')) },
  { name: 'name, chosen elsewhere', ...settings({ registryImages: { codex: 'x/y:z' } }), run: github((one) => one.getImageName('codex', 'ann')) },
  { name: 'upload', rules: [known(), ALL_THERE], run: github((one) => one.uploadImages('ann', ['codex', 'claude']), TOKEN) },
  { name: 'upload all, logged in', rules: [GHCR, GIT, ALL_THERE], run: github((one) => one.uploadImages('ann')) },
  { name: 'upload what is there', rules: [GHCR, GIT, CODEX_THERE], run: github((one) => one.uploadImages('ann', ['claude', 'codex'])) },
  { name: 'upload, no token', rules: [known()], run: github((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'upload fails at the push', rules: [GHCR, GIT, ALL_THERE, NO_PUSH], run: github((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'upload fails at the tag', rules: [GHCR, GIT, ALL_THERE, NO_TAG], run: github((one) => one.uploadImages('ann', ['codex'])) },
  { name: 'pull', run: github((one) => one.pullImage('a/b')) },
  { name: 'pull, full name', run: github((one) => one.pullImage('ghcr.io/a/b:c')) },
  { name: 'pull fails, once', rules: [NO_PULL], run: github((one) => one.pullImage('a/b'), TOKEN) },
  { name: 'pull a command', because: 'it is refused', run: github((one) => one.pullImage('a;docker pull evil')), ours: { calls: [], error: { name: 'Error', message: 'Invalid image name: a;docker pull evil' }, log: [] } },
  { name: 'there', rules: [ALL_THERE], run: github((one) => one.checkLocalImage('a/b')) },
  { name: 'setup', rules: [GHCR, GIT, ALL_THERE], ...settings({ keep: 1, registryImages: { claude: 'a' }, preferRegistryImages: false }), run: github((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, not logged in', rules: [known(), GIT], run: github((one) => one.setupRegistry(['codex']), TOKEN) },
  { name: 'setup, nobody', rules: [GHCR, { on: 'git*', exit: 1 }], run: github((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, login lost', rules: [{ ...GHCR, times: 1 }, known(), GIT], run: github((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, nothing uploaded', rules: [GHCR, GIT], run: github((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, nothing can be saved', home: { '.vibekit': '' }, rules: [GHCR, GIT, ALL_THERE], run: github((one) => one.setupRegistry(['codex'])) },
]

const ecr = registry('AWSECRRegistry', { awsAccountId: '123456789012' })
const nobody = registry('AWSECRRegistry')
const HOST = '123456789012.dkr.ecr.us-east-1.amazonaws.com'
const PASSWORD = { on: 'aws ecr get-login-password*', out: 'secret\n' }
const ECR = known('docker.io', HOST)
const NO_REPOSITORY = { on: 'aws ecr describe-repositories*', err: 'RepositoryNotFoundException\n', exit: 254 }
const NO_CREATION = { on: 'aws ecr create-repository*', err: 'AccessDenied\n', exit: 254 }

/** @type {Scenario[]} */
const aws = [
  { name: 'who it is', run: ecr((one) => [one.getRegistryName(), one.getRegistryUrl()]) },
  { name: 'who it is, of the environment', env: { AWS_REGION: 'eu-west-1', AWS_ACCOUNT_ID: '999' }, run: nobody((one) => one.getRegistryUrl(), { awsRegion: '', awsAccountId: '' }) },
  { name: 'who it is, given counts first', env: { AWS_REGION: 'eu-west-1', AWS_ACCOUNT_ID: '999' }, run: ecr((one) => one.getRegistryUrl(), { awsRegion: 'eu-north-1' }) },
  { name: 'who it is, of nobody', run: nobody((one) => one.getRegistryUrl()) },
  { name: 'login', rules: [PASSWORD], run: ecr((one) => one.login()) },
  { name: 'login, no account', run: nobody((one) => one.login()) },
  {
    name: 'login fails at docker',
    because: 'the command that failed is named',
    rules: [PASSWORD, { on: 'docker login*', err: 'bad password secret\n', exit: 1 }],
    run: ecr((one) => one.login()),
    ours: { error: { name: 'Error', message: `Failed to login to ECR: Command failed: docker login --username AWS --password-stdin ${HOST}\nbad password ***\n` } },
  },
  {
    name: 'login fails at AWS',
    because: 'docker gets no empty password, and the failure shows',
    rules: [{ on: 'aws ecr get-login-password*', err: 'Unable to locate credentials\n', exit: 253 }],
    run: ecr((one) => one.login()),
    ours: {
      calls: [call('aws ecr get-login-password --region us-east-1')],
      error: { name: 'Error', message: 'Failed to login to ECR: Command failed: aws ecr get-login-password --region us-east-1\nUnable to locate credentials\n' },
      log: [],
    },
  },
  {
    name: 'login, an account the shell would run',
    because: 'it is refused',
    rules: [PASSWORD],
    run: ecr((one) => one.login(), { awsAccountId: '1;touch x;' }),
    ours: { calls: [], error: { name: 'Error', message: 'Invalid ECR registry: 1;touch x;.dkr.ecr.us-east-1.amazonaws.com. Check awsAccountId and awsRegion.' } },
  },
  { name: 'logged in', rules: [ECR], run: ecr((one) => one.checkLogin()) },
  { name: 'logged in, another region', rules: [known('1.dkr.ecr.eu-west-1.amazonaws.com')], run: ecr((one) => one.checkLogin()) },
  { name: 'not logged in', rules: [known('docker.io')], run: ecr((one) => one.checkLogin()) },
  { name: 'not logged in, no account', rules: [ECR], run: nobody((one) => one.checkLogin()) },
  { name: 'login unknown: no daemon', rules: [{ on: 'docker system*', err: 'x\n', exit: 1 }], run: ecr((one) => one.checkLogin()) },
  { name: 'login unknown: null', rules: [{ on: 'docker system*', out: 'null' }], run: ecr((one) => one.checkLogin()) },
  { name: 'name', run: ecr((one) => one.getImageName('codex', 'ann')) },
  { name: 'name, no account', run: nobody((one) => one.getImageName('codex', 'ann')) },
  { name: 'name, chosen', ...settings({ registryImages: { codex: '1.dkr.ecr.eu.amazonaws.com/y:z' } }), run: nobody((one) => one.getImageName('codex')) },
  { name: 'name, chosen elsewhere', ...settings({ registryImages: { codex: 'x/y:z' } }), run: ecr((one) => one.getImageName('codex')) },
  { name: 'repository there', run: ecr((one) => one.ensureRepository('vibekit-codex')) },
  { name: 'repository created', rules: [NO_REPOSITORY], run: ecr((one) => one.ensureRepository('vibekit-codex')) },
  { name: 'repository cannot be created', rules: [NO_REPOSITORY, NO_CREATION], run: ecr((one) => one.ensureRepository('vibekit-codex')) },
  { name: 'upload', rules: [known(), PASSWORD, ALL_THERE], run: ecr((one) => one.uploadImages('ann', ['codex', 'claude'])) },
  { name: 'upload all, logged in', rules: [ECR, ALL_THERE], run: ecr((one) => one.uploadImages()) },
  { name: 'upload, the user is the account', rules: [known(), PASSWORD, ALL_THERE], run: nobody(async (one) => [await one.uploadImages('99', ['codex']), one.getRegistryUrl()]) },
  { name: 'upload, no account', rules: [known()], run: nobody((one) => one.uploadImages()) },
  { name: 'upload what is there', rules: [ECR, CODEX_THERE], run: ecr((one) => one.uploadImages('', ['claude', 'codex'])) },
  { name: 'upload, no repository', rules: [ECR, ALL_THERE, NO_REPOSITORY, NO_CREATION], run: ecr((one) => one.uploadImages('', ['codex'])) },
  { name: 'upload fails at the push', rules: [ECR, ALL_THERE, NO_PUSH], run: ecr((one) => one.uploadImages('', ['codex'])) },
  { name: 'pull', rules: [known(), PASSWORD], run: ecr((one) => one.pullImage('a/b')) },
  { name: 'pull, full name', rules: [ECR], run: ecr((one) => one.pullImage(`${HOST}/a/b:c`)) },
  { name: 'pull, name of another account', rules: [ECR], run: ecr((one) => one.pullImage('1.dkr.ecr.eu-west-1.amazonaws.com/a')) },
  { name: 'pull, no account', run: nobody((one) => one.pullImage('a/b')) },
  { name: 'pull fails, once', rules: [ECR, NO_PULL], run: ecr((one) => one.pullImage('a/b')) },
  { name: 'there', rules: [ALL_THERE], run: ecr((one) => one.checkLocalImage('a/b')) },
  { name: 'setup', rules: [known(), PASSWORD, ALL_THERE], ...settings({ keep: 1, registryImages: { claude: 'a' }, preferRegistryImages: false }), run: ecr((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, no account', run: nobody((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, no CLI', programs: ['docker'], run: ecr((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, CLI not configured', rules: [{ on: 'aws sts*', err: 'x\n', exit: 253 }], run: ecr((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, nothing uploaded', rules: [ECR], run: ecr((one) => one.setupRegistry(['codex'])) },
  { name: 'setup, nothing can be saved', home: { '.vibekit': '' }, rules: [ECR, ALL_THERE], run: ecr((one) => one.setupRegistry(['codex'])) },
]

/** A registry as users write them. @param {string} name @param {object} [methods] */
const custom = (name, methods) => ({
  checkLogin: async () => ({ isLoggedIn: true, username: `user of ${name}` }),
  getImageName: async (/** @type {string} */ agent, /** @type {string} */ user) => `${name}/${user}/${agent}`,
  uploadImages: async (/** @type {string} */ user, /** @type {string[]} */ agents) => ({ success: true, results: [], user, agents }),
  pullImage: async () => {},
  checkLocalImage: async () => true,
  getRegistryUrl: () => `url of ${name}`,
  getRegistryName: () => `name of ${name}`,
  ...methods,
})

/** @param {(one: any, the: Subject) => unknown} work @param {object} [config] @returns {Scenario['run']} */
const manager = (work, config) => (the) => work(new the.registry.RegistryManager({ logger: the.logger(), registries: { dockerhub: custom('hub'), own: custom('own') }, ...config }), the)
/** @param {object} methods of the default registry @param {string[]} [agents] */
const setup = (methods, agents = ['codex']) => manager((one) => one.setupRegistry(agents), { registries: { dockerhub: custom('hub', methods) } })
const fails = async () => {
  throw new Error('no way')
}
const METHODS = ['checkLogin', 'getImageName', 'uploadImages', 'pullImage', 'checkLocalImage', 'setupRegistry', 'getRegistry', 'getRegistryInfo', 'setDefaultRegistry']

/** @type {Scenario[]} */
const managers = [
  { name: 'empty', run: manager((one) => one.getAvailableRegistries(), { registries: undefined }) },
  { name: 'empty, asked', run: manager((one) => outcomes(METHODS, (method) => one[method]('x')), { registries: undefined }) },
  { name: 'names', run: manager((one) => one.getAvailableRegistries()) },
  { name: 'infos', run: manager((one) => [one.getRegistryInfo(), one.getRegistryInfo('own'), one.getRegistryInfo('')]) },
  { name: 'unknown', run: manager((one) => outcomes([['getRegistry', 'x'], ['getImageName', 'a', 'x'], ['uploadImages', 'u', [], 'x'], ['pullImage', 'i', 'x'], ['checkLocalImage', 'i', 'x'], ['setupRegistry', [], 'x']], ([method, ...args]) => one[/** @type {string} */ (method)](...args))) },
  { name: 'default', run: manager((one) => [one.setDefaultRegistry('own'), one.getRegistryInfo()]) },
  { name: 'default given', run: manager((one) => one.getRegistryInfo(), { defaultRegistry: 'own' }) },
  { name: 'default unknown', run: manager((one) => outcomes(['x'], (name) => one.setDefaultRegistry(name))) },
  { name: 'default given unknown', run: manager((one) => one.checkLogin(), { defaultRegistry: 'ecr' }) },
  { name: 'register', run: manager((one) => [one.registerRegistry('new', custom('new')), one.registerRegistry('own', custom('newer')), one.getAvailableRegistries(), one.getRegistryInfo('own')]) },
  { name: 'every call', run: manager(async (one) => [await one.checkLogin(), await one.getImageName('codex'), await one.uploadImages('ann'), await one.pullImage('i'), await one.checkLocalImage('i')]) },
  { name: 'every call, by name', run: manager(async (one) => [await one.checkLogin('own'), await one.getImageName('codex', 'own', 'ann'), await one.uploadImages('ann', ['codex'], 'own'), await one.pullImage('i', 'own'), await one.checkLocalImage('i', 'own')]) },
  { name: 'setup', run: setup({}) },
  { name: 'setup of its own', run: setup({ setupRegistry: async (/** @type {unknown[]} */ ...args) => ({ success: true, args }) }) },
  { name: 'setup of its own fails', run: setup({ setupRegistry: fails }) },
  { name: 'setup, no function', run: setup({ setupRegistry: 1 }) },
  { name: 'setup, not logged in', run: setup({ checkLogin: async () => ({ isLoggedIn: false }) }) },
  { name: 'setup, logged in as nobody', run: setup({ checkLogin: async () => ({ isLoggedIn: true, username: null }) }) },
  { name: 'setup, login fails', run: setup({ checkLogin: fails }) },
  { name: 'setup, upload fails', run: setup({ uploadImages: fails }) },
  { name: 'setup, nothing uploaded', run: setup({ uploadImages: async () => ({ success: false, results: [] }) }) },
  {
    name: 'names every object has',
    because: 'they are no registries',
    run: manager((one) => outcomes(['constructor', '__proto__', 'toString'], (name) => one.setDefaultRegistry(name))),
    ours: { value: ['constructor', '__proto__', 'toString'].map((name) => [name, `failed: Cannot set default registry to '${name}' - registry not found`]), log: [] },
  },
]

const FILES = { 'assets/dockerfiles/Dockerfile.codex': 'FROM scratch', 'assets/dockerfiles/Dockerfile.claude': 'FROM scratch', 'assets/dockerfiles/Dockerfile.mine': 'FROM scratch' }

/**
 * @param {(one: any, the: Subject) => unknown} work
 * @param {object} [config]
 * @param {(the: Subject) => object | undefined} [registries] given to its manager; no manager without
 * @returns {Scenario['run']}
 */
const resolver = (work, config, registries) => (the) => {
  const given = registries?.(the)
  const one = given && new the.registry.RegistryManager({ logger: the.logger(), registries: given })
  return work(new the.registry.ImageResolver({ retryDelayMs: 1, logger: the.logger(), ...config }, one), the)
}
/** @param {Subject} the */
const withHub = (the) => ({ dockerhub: new the.registry.DockerHubRegistry({ retryDelayMs: 1, logger: the.logger() }) })
/** @param {object} [methods] */
const withCustom = (methods) => () => ({ dockerhub: custom('own', methods) })
const NO_BUILD = { on: 'docker build*', err: 'bad\n', exit: 1 }
const codex = (/** @type {any} */ one) => one.resolveImage('codex')

/** @type {Scenario[]} */
const resolvers = [
  { name: 'no agent', run: resolver((one) => one.resolveImage()) },
  { name: 'local', rules: [ALL_THERE], run: resolver(codex) },
  { name: 'local, of a registry user', rules: [ALL_THERE], run: resolver(codex, { registryUser: 'ann', dockerHubUser: 'bob' }) },
  { name: 'local, of a Docker Hub user', rules: [ALL_THERE], run: resolver(codex, { dockerHubUser: 'bob' }) },
  { name: 'local, private registry', rules: [ALL_THERE], run: resolver(codex, { privateRegistry: 'registry.example' }) },
  { name: 'built', run: resolver(codex) },
  { name: 'built, of a user', run: resolver(codex, { registryUser: 'ann' }) },
  { name: 'built, not pushed', run: resolver(codex, { pushImages: false, preferRegistryImages: false }, withHub) },
  { name: 'built and pushed', run: resolver(codex, { dockerHubUser: 'bob', preferRegistryImages: false }, withHub) },
  { name: 'built, push fails', rules: [NO_PULL, NO_PUSH], run: resolver(codex, { dockerHubUser: 'bob' }, withHub) },
  { name: 'built, pushed for nobody', rules: [NO_LOGIN], run: resolver(codex, {}, withHub) },
  { name: 'not built', rules: [NO_BUILD], run: resolver(codex) },
  { name: 'no Dockerfile', run: resolver((one) => one.resolveImage('gemini')) },
  { name: 'no such agent', run: resolver((one) => outcomes(['mine', '../codex', 'a/b'], (agent) => one.resolveImage(agent))) },
  { name: 'pulled', run: resolver(codex, { dockerHubUser: 'bob' }, withHub) },
  { name: 'pulled for the user of the settings', ...settings({ dockerHubUser: 'eve' }), run: resolver(codex, {}, withHub) },
  { name: 'pulled, as chosen in the settings', ...settings({ registryImages: { codex: 'x/y:1' } }), run: resolver(codex, {}, withHub) },
  { name: 'pulled at the third attempt', rules: [{ ...NO_PULL, times: 2 }], run: resolver(codex, { dockerHubUser: 'bob' }, withHub) },
  { name: 'pulled, cannot be tagged', rules: [NO_TAG], run: resolver(codex, { dockerHubUser: 'bob' }, withHub) },
  { name: 'pulled from a custom registry', run: resolver(codex, { registryUser: 'ann' }, withCustom()) },
  { name: 'a custom registry knows no name', run: resolver(codex, {}, withCustom({ getImageName: async () => null })) },
  { name: 'a custom registry fails', run: resolver(codex, {}, withCustom({ getImageName: fails })) },
  { name: 'a custom registry cannot pull', run: resolver(codex, { registryUser: 'ann' }, withCustom({ pullImage: fails })) },
  {
    name: 'a registry by name',
    because: 'it is asked for its image itself',
    run: resolver(codex, { registryName: 'other', registryUser: 'ann' }, () => ({ other: custom('other') })),
    ours: {
      calls: [call('docker images -q ann/vibekit-codex:latest'), call('docker tag other/ann/codex ann/vibekit-codex:latest')],
      log: ['info Successfully pulled image from registry: other/ann/codex'],
    },
  },
  { name: 'prebuild all', run: resolver((one) => one.prebuildImages()) },
  { name: 'prebuild none means all', rules: [ALL_THERE], run: resolver((one) => one.prebuildImages([])) },
  { name: 'prebuild, from the registry', run: resolver((one) => one.prebuildImages(['codex', 'claude']), { dockerHubUser: 'bob' }, withHub) },
  { name: 'prebuild, some fail', rules: [NO_BUILD], run: resolver((one) => one.prebuildImages(['codex', 'gemini'])) },
  { name: 'prebuild, all fail', rules: [NO_BUILD], run: resolver((one) => one.prebuildImages(['codex'])) },
  { name: 'available', run: resolver((one) => one.getAvailableAgentTypes()) },
  { name: 'available, none', work: {}, run: resolver((one) => one.getAvailableAgentTypes()) },
  { name: 'there', rules: [ALL_THERE], run: resolver((one) => one.hasLocalImage('codex')) },
  { name: 'not there', run: resolver((one) => one.hasLocalImage('codex'), { registryUser: 'ann' }) },
  { name: 'removed', run: resolver((one) => one.removeLocalImage('codex')) },
  { name: 'removed by force', run: resolver((one) => one.removeLocalImage('codex', true)) },
  { name: 'not removed', rules: [{ on: 'docker rmi*', err: 'in use\n', exit: 1 }], run: resolver((one) => one.removeLocalImage('codex')) },
  {
    name: 'default loggers',
    because: 'silence is one',
    rules: [NO_PULL, NO_PUSH],
    run: async (the) => {
      const registries = { dockerhub: new the.registry.DockerHubRegistry({ retryDelayMs: 1 }) }
      const one = new the.registry.ImageResolver({ retryDelayMs: 1, dockerHubUser: 'bob' }, new the.registry.RegistryManager({ registries }))
      return [await one.resolveImage('codex'), the.printed().length > 0]
    },
    ours: { value: ['bob/vibekit-codex:latest', false] },
  },
]

/** @param {string} group @param {Scenario[]} scenarios @returns {Scenario[]} */
const grouped = (group, scenarios) => scenarios.map((scenario) => ({ ...scenario, name: `${group}: ${scenario.name}` }))

module.exports = [
  ...grouped('hub', dockerHub),
  ...grouped('ghcr', ghcr),
  ...grouped('ecr', aws),
  ...grouped('manager', managers),
  ...grouped('resolver', resolvers.map((scenario) => ({ work: FILES, ...scenario }))),
]
