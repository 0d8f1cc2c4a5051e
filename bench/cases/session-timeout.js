'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { defineCase } = require('../lib/case')

const LIMIT_MS = 300

module.exports = defineCase({
  title: `A command with a limit of ${LIMIT_MS} ms that ignores TERM, as do its children in sessions of their own`,
  note: 'plain: child_process with its own `timeout`, which ends the shell alone; its children go on.',
  subjects: ['ours', 'plain'],
  rounds: 3,
  figures: [
    { label: 'overshoot', of: 'overMs', unit: 'ms', atMost: 250 },
    { label: 'processes that survive', of: 'survivors', unit: '', atMost: 0 },
  ],
  async measure(subject) {
    const stubborn = "trap '' TERM HUP INT; (setsid sleep 4 &) ; setsid sleep 4 & setsid sh -c 'sleep 4; :' & while :; do sleep 0.05; done"
    if (subject.name === 'plain') {
      // Its orphans hold the pipes, so that it also settles late.
      const shell = await subject.shell()
      const start = performance.now()
      await shell.run(stubborn, { timeoutMs: LIMIT_MS })
      const overMs = performance.now() - start - LIMIT_MS
      await shell.end()
      return { overMs }
    }
    const sandbox = await (await subject.provider()).create()
    await sandbox.commands.run('true')
    const start = performance.now()
    const result = await sandbox.commands.run(stubborn, { timeoutMs: LIMIT_MS })
    const overMs = performance.now() - start - LIMIT_MS
    if (!result.timedOut) throw new Error(`it did not time out: ${JSON.stringify(result)}`)
    await sleep(20)
    const survivors = (await sandbox.commands.run('cat /proc/[0-9]*/comm | grep -c sleep')).stdout.trim()
    await sandbox.kill()
    return { overMs, survivors: Number(survivors) }
  },
})
