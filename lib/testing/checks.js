'use strict'

/** What a provider object has to do, one entry each. */

/**
 * @typedef {import('./check').Trial} Trial
 * @typedef {{ check: string, what: string, needs?: keyof import('../../testing').ProviderCapabilities, run: (trial: Trial) => Promise<void> }} Check
 */

/** @param {unknown} condition @param {string} sentence */
function ensure(condition, sentence) {
  if (!condition) throw new Error(sentence)
}

/** @param {unknown} value */
const shown = (value) => JSON.stringify(value)

/** Gives a promise and what resolves it. */
function signal() {
  /** @type {() => void} */
  let resolve = () => {}
  const promise = new Promise((/** @type {(value: void) => void} */ done) => (resolve = done))
  return { promise, resolve: () => resolve() }
}

/** @type {Check[]} */
const CHECKS = [
  {
    check: 'create',
    what: 'Sandboxes are made, each with an id of its own',
    async run(trial) {
      const [one, other] = [await trial.sandbox(), await trial.sandbox()]
      ensure(typeof one.sandboxId === 'string' && one.sandboxId !== '', `The id is ${shown(one.sandboxId)}`)
      ensure(one.sandboxId !== other.sandboxId, `Two sandboxes have the id ${one.sandboxId}`)
    },
  },
  {
    check: 'environment',
    what: "Commands get the sandbox's environment, value for value",
    async run(trial) {
      const value = 'it\'s "quoted" `and` $HOME \\ * ✓\nlast'
      const { stdout } = await trial.run(await trial.sandbox({ VK_VALUE: value }), 'printf "%s|" "$VK_VALUE"')
      ensure(stdout === `${value}|`, `It arrived as ${shown(stdout)}`)
    },
  },
  {
    check: 'exit-code',
    what: "The exit code is the command's own, and no reason to reject",
    async run(trial) {
      const sandbox = await trial.sandbox()
      for (const code of [0, 1, 3, 255]) {
        const { exitCode } = await trial.run(sandbox, `exit ${code}`)
        ensure(exitCode === code, `\`exit ${code}\` gave ${shown(exitCode)}`)
      }
    },
  },
  {
    check: 'streams',
    what: 'Standard output and standard error arrive apart, as results and through the callbacks',
    needs: 'separateStreams',
    async run(trial) {
      const sandbox = await trial.sandbox()
      const seen = { out: '', err: '' }
      const options = {
        timeoutMs: trial.patience,
        background: false,
        onStdout: (/** @type {string} */ text) => void (seen.out += text),
        onStderr: (/** @type {string} */ text) => void (seen.err += text),
      }
      const { stdout, stderr } = await trial.run(sandbox, 'echo out; echo err >&2', options)
      ensure(stdout === 'out\n' && stderr === 'err\n', `The results are ${shown([stdout, stderr])}`)
      ensure(seen.out === 'out\n' && seen.err === 'err\n', `The callbacks got ${shown(seen)}`)
    },
  },
  {
    check: 'result-output',
    what: 'Without callbacks the result still holds the output',
    async run(trial) {
      const { stdout } = await trial.run(await trial.sandbox(), 'echo here', { timeoutMs: trial.patience })
      ensure(stdout === 'here\n', `It holds ${shown(stdout)}`)
    },
  },
  {
    check: 'live-output',
    what: 'Output arrives as it is written, not at the end',
    needs: 'liveOutput',
    async run(trial) {
      const sandbox = await trial.sandbox()
      const { stdout: place } = await trial.run(sandbox, 'mktemp -d')
      const go = `${place.trim()}/go`
      const first = signal()
      const options = { timeoutMs: trial.patience, background: false, onStdout: () => first.resolve() }
      const running = trial.run(sandbox, `echo one; while [ ! -e ${go} ]; do sleep 0.1; done; echo two`, options)
      running.catch(() => {})
      // The command cannot end before this has been seen.
      await trial.within('The first output', first.promise)
      await trial.run(sandbox, `: >${go}`)
      const { stdout } = await running
      ensure(stdout === 'one\ntwo\n', `All of it is ${shown(stdout)}`)
    },
  },
  {
    check: 'large-output',
    what: 'Large output arrives whole',
    async run(trial) {
      const size = 4 * 1024 * 1024
      const { stdout } = await trial.run(await trial.sandbox(), `head -c ${size} /dev/zero | tr '\\0' a`)
      ensure(stdout.length === size, `${stdout.length} of ${size} characters arrived`)
    },
  },
  {
    check: 'cut-characters',
    what: 'A character written in two pieces arrives as one',
    async run(trial) {
      let seen = ''
      const onStdout = (/** @type {string} */ text) => void (seen += text)
      const line = "printf 'a\\360\\237'; sleep 0.3; printf '\\230\\200z'"
      await trial.run(await trial.sandbox(), line, { timeoutMs: trial.patience, onStdout, onStderr: () => {} })
      ensure(seen === 'a😀z', `It arrived as ${shown(seen)}`)
    },
  },
  {
    check: 'background',
    what: 'A background command runs on after its call',
    needs: 'background',
    async run(trial) {
      const sandbox = await trial.sandbox()
      const { stdout: place } = await trial.run(sandbox, 'mktemp -d')
      const at = place.trim()
      const line = `while [ ! -e ${at}/go ]; do sleep 0.1; done; : >${at}/done`
      // It cannot end before the next command has run.
      await trial.run(sandbox, line, { timeoutMs: trial.patience, background: true })
      await trial.run(sandbox, `: >${at}/go; while [ ! -e ${at}/done ]; do sleep 0.1; done`)
    },
  },
  {
    check: 'time-limit',
    what: 'A time limit ends the whole tree',
    needs: 'timeout',
    async run(trial) {
      const sandbox = await trial.sandbox()
      const { stdout: place } = await trial.run(sandbox, 'mktemp -d')
      const pids = `${place.trim()}/pids`
      const child = `sh -c 'echo $$ >>${pids}; while :; do sleep 1; done'`
      // Rejecting is a way to report it, too.
      await trial.run(sandbox, `${child} & ${child}`, { timeoutMs: 1500 }).catch(() => {})
      const alive = `for pid in $(cat ${pids}); do kill -0 $pid 2>/dev/null && echo $pid; done; true`
      await trial.untilNothing('These processes are still there', async () => (await trial.run(sandbox, alive)).stdout.trim())
    },
  },
  {
    check: 'commands-at-once',
    what: "Fifty commands at once do not get in each other's way",
    async run(trial) {
      const sandbox = await trial.sandbox()
      const results = await Promise.all(Array.from({ length: 50 }, (_, number) => trial.run(sandbox, `echo ${number}; exit ${number}`)))
      results.forEach(({ exitCode, stdout }, number) =>
        ensure(exitCode === number && stdout === `${number}\n`, `Command ${number} gave ${shown([exitCode, stdout])}`),
      )
    },
  },
  {
    check: 'host',
    what: 'A port has a name',
    needs: 'host',
    async run(trial) {
      const name = await trial.within('getHost()', (await trial.sandbox()).getHost(3000))
      ensure(typeof name === 'string' && name !== '', `It is ${shown(name)}`)
    },
  },
  {
    check: 'resume',
    what: 'Another provider finds a sandbox by its id, with its files',
    needs: 'resume',
    async run(trial) {
      const first = await trial.sandbox()
      const { stdout: place } = await trial.run(first, 'mktemp -d')
      await trial.run(first, `echo kept >${place.trim()}/file`)
      const second = trial.keep(await trial.within('resume()', trial.another().resume(first.sandboxId)))
      ensure(second.sandboxId === first.sandboxId, `The id was ${first.sandboxId}, now it is ${second.sandboxId}`)
      const { stdout } = await trial.run(second, `cat ${place.trim()}/file`)
      ensure(stdout === 'kept\n', `Its file holds ${shown(stdout)}`)
    },
  },
  {
    check: 'kill',
    what: 'Killing ends everything, as often as one likes; a later command is refused',
    async run(trial) {
      const sandbox = await trial.sandbox()
      for (let times = 0; times < 2; times++) await trial.within('kill()', sandbox.kill())
      const refused = await trial.run(sandbox, 'true', { timeoutMs: trial.patience }).then(
        ({ exitCode }) => exitCode !== 0,
        () => true,
      )
      ensure(refused, 'A command of a killed sandbox succeeds')
    },
  },
]

module.exports = { CHECKS }
