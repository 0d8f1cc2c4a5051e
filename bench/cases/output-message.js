'use strict'

const assert = require('node:assert')
const { defineCase } = require('../lib/case')
const { meter, MIB } = require('../lib/meter')
const { counter } = require('../lib/output')

const BYTES = 2 * MIB

module.exports = defineCase({
  title: 'One message of 2 MiB, printed in pieces of 4 KiB',
  subjects: ['ours', 'ts', 'linear'],
  rounds: 3,
  quickRounds: 1,
  figures: [
    { label: 'longest stall of the event loop', of: 'loopMaxMs', unit: 'ms', atMost: 5 },
    { label: 'wall', of: 'wallMs', unit: 'ms', over: 'ts' },
  ],
  async measure(subject) {
    const shell = await subject.shell()
    await shell.run(`(printf '{"text":"'; yes 'abcdefghi {x}' | tr -d '\\n' | head -c ${BYTES - 12}; printf '"}\\n') > part`)
    await shell.run('cat part | head -c 10')
    const seen = counter(shell)
    const figures = await meter(() => shell.run('dd if=part bs=4k status=none'))
    await shell.end()
    assert.deepStrictEqual([seen.messages, seen.characters], [1, BYTES - 1])
    return figures
  },
})
