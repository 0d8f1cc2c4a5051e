'use strict'

/**
 * The real agents, in the versions the tests were written against. They are installed from the npm registry into a
 * cache folder outside the repository; nothing of them is part of this package.
 *
 * The platform packages are taken directly, without running any install script: their programs need neither a
 * launcher nor Node (Gemini, a Node program, apart).
 *
 * @example
 * const agents = await installAgents(['gemini'])
 * agents.bin            // a folder for PATH
 * agents.gemini.program // the program itself
 *
 * On the command line: `node testing/agents.js [name …]`.
 */

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { pipeline } = require('node:stream/promises')
const zlib = require('node:zlib')
const { locked, npmInstall } = require('./npm-cache')

/** @typedef {'claude' | 'codex' | 'gemini' | 'grok' | 'opencode'} AgentName */

/**
 * @typedef {object} Source
 * @property {string} version what the program itself reports
 * @property {() => string} spec npm package and version
 * @property {() => string} folder package folder below `node_modules`
 * @property {() => string} program path of the program in the package
 * @property {string} [unpacked] the program is compressed with brotli; the name to unpack it under
 */

const platform = `${process.platform}-${process.arch}`
/** Builds against musl have names of their own. */
const libc = () => {
  const report = /** @type {any} */ (process.report?.getReport())
  return process.platform === 'linux' && !report?.header?.glibcVersionRuntime ? '-musl' : ''
}
const rustTarget = () => {
  const cpu = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  return process.platform === 'darwin' ? `${cpu}-apple-darwin` : `${cpu}-unknown-linux-musl`
}

/** @type {Record<AgentName, Source>} */
const sources = {
  claude: {
    version: '2.1.332',
    spec: () => `@anthropic-ai/claude-code-${platform}${libc()}@2.1.332`,
    folder: () => `@anthropic-ai/claude-code-${platform}${libc()}`,
    program: () => 'claude',
  },
  codex: {
    version: '0.169.0',
    spec: () => `@openai/codex@0.169.0-${platform}`,
    folder: () => '@openai/codex',
    program: () => `vendor/${rustTarget()}/bin/codex`,
  },
  gemini: {
    version: '0.61.0',
    spec: () => '@google/gemini-cli@0.61.0',
    folder: () => '@google/gemini-cli',
    program: () => 'bundle/gemini.js',
  },
  grok: {
    version: '1.0.41',
    spec: () => `@xai-official/grok-${platform}@1.0.41`,
    folder: () => `@xai-official/grok-${platform}`,
    program: () => 'bin/grok.br',
    unpacked: 'bin/grok',
  },
  opencode: {
    version: '1.18.33',
    spec: () => `opencode-${platform}${libc()}@1.18.33`,
    folder: () => `opencode-${platform}${libc()}`,
    program: () => 'bin/opencode',
  },
}

/** @type {AgentName[]} */
const names = /** @type {any} */ (Object.keys(sources))

/**
 * @typedef {object} Installed
 * @property {string} program absolute path
 * @property {string} version
 * @property {string} root folder that holds all the program needs besides the system (and Node, for Gemini)
 *
 * @typedef {Partial<Record<AgentName, Installed>> & { bin: string, root: string }} Agents
 */

/** Where the agents are kept: `VIBEKIT_AGENTS_DIR`, or below the user's cache folder. */
function agentsDirectory() {
  const { VIBEKIT_AGENTS_DIR, XDG_CACHE_HOME } = process.env
  if (VIBEKIT_AGENTS_DIR) return path.resolve(VIBEKIT_AGENTS_DIR)
  return path.join(XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'vibekit-native', 'agents')
}

/**
 * Makes sure that these agents are installed. Cheap when they are; safe to run in several processes at once.
 * @param {readonly string[]} [wanted] all five by default
 * @param {{ progress?: (line: string) => void }} [options]
 * @returns {Promise<Agents>}
 */
async function installAgents(wanted = names, { progress = () => {} } = {}) {
  const root = agentsDirectory()
  const bin = path.join(root, 'bin')
  await fs.promises.mkdir(bin, { recursive: true })

  /** @type {any} */
  const agents = { bin, root }
  for (const name of wanted) {
    const source = sources[/** @type {AgentName} */ (name)]
    if (!source) throw new Error(`No agent is called ${name}. Use ${names.join(', ')}.`)
    const home = path.join(root, `${name}-${source.version}-${platform}`)
    const folder = path.join(home, 'node_modules', source.folder())
    const program = path.join(folder, source.unpacked ?? source.program())
    if (!fs.existsSync(home)) {
      await locked(`${home}.lock`, async () => {
        if (!fs.existsSync(home)) await install(source, home, progress)
      })
    }
    await link(program, path.join(bin, name))
    agents[name] = { program, version: source.version, root: folder }
  }
  return agents
}

/**
 * Installs into a folder beside the final one and renames it, so that a final folder is always whole.
 * @param {Source} source @param {string} home @param {(line: string) => void} progress
 */
async function install(source, home, progress) {
  const draft = `${home}.${process.pid}`
  try {
    for (let attempt = 1; ; attempt++) {
      progress(`installing ${source.spec()}${attempt > 1 ? ` (attempt ${attempt})` : ''}`)
      await fs.promises.rm(draft, { recursive: true, force: true })
      await fs.promises.mkdir(draft, { recursive: true })
      try {
        await npmInstall(source.spec(), draft)
        break
      } catch (error) {
        if (attempt === 4) throw new Error(`Could not install ${source.spec()}`, { cause: error })
        await sleep(1000 * 2 ** attempt)
      }
    }
    const folder = path.join(draft, 'node_modules', source.folder())
    let program = path.join(folder, source.program())
    if (source.unpacked) {
      const target = path.join(folder, source.unpacked)
      await pipeline(fs.createReadStream(program), zlib.createBrotliDecompress(), fs.createWriteStream(target))
      await fs.promises.rm(program)
      program = target
    }
    await fs.promises.chmod(program, 0o755)
    await fs.promises.rename(draft, home)
  } finally {
    await fs.promises.rm(draft, { recursive: true, force: true })
  }
  progress(`installed ${source.spec()}`)
}

/**
 * Points a link at a program. Other processes see the old one or the new one, never none.
 * @param {string} target @param {string} place
 */
async function link(target, place) {
  const relative = path.relative(path.dirname(place), target)
  try {
    if ((await fs.promises.readlink(place)) === relative) return
  } catch {
    // There is none yet.
  }
  const draft = `${place}.${process.pid}`
  await fs.promises.rm(draft, { force: true })
  await fs.promises.symlink(relative, draft)
  await fs.promises.rename(draft, place)
}

if (require.main === module) {
  const wanted = process.argv.slice(2)
  installAgents(wanted.length ? wanted : names, { progress: (line) => process.stderr.write(`${line}\n`) }).then(
    (agents) => process.stdout.write(`${JSON.stringify(agents, null, 2)}\n`),
    (error) => {
      process.stderr.write(`${error.stack}\n${error.cause?.stderr ?? ''}\n`)
      process.exitCode = 1
    },
  )
}

module.exports = { installAgents, agentsDirectory, names }
