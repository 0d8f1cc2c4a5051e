'use strict'

const assert = require('node:assert')
const { meter, MIB } = require('./meter')
const { counter, makePart, EVENT } = require('./output')
const { startE2B, e2bShell } = require('./e2b')

/**
 * Events through `executeCommand`, in messages of so many bytes; the service's own client hands the text over as it comes.
 * @param {{ frame?: number, mib: number, quickMib: number }} sizes
 */
const events = ({ frame, mib, quickMib }) => ({
  /** @param {any} subject @param {import('./case').Run} run */
  async measure(subject, { quick }) {
    const double = await startE2B()
    const shell = await e2bShell(subject, double, { frame })
    const bytes = await makePart(shell, EVENT, (quick ? quickMib : mib) * MIB)
    const seen = counter(shell)
    const figures = await meter(() => shell.run('cat part'))
    await shell.end()
    double.end()
    if (subject.name === 'official') assert.strictEqual(seen.characters, bytes)
    else assert.strictEqual(seen.messages, bytes / (EVENT.length + 1))
    const megabytes = bytes / MIB
    return { ...figures, cpuPerMb: figures.cpuMs / megabytes, mainPerMb: figures.mainMs / megabytes, mbPerS: bytes / 1e3 / figures.wallMs }
  },
  /** @param {any} subject */
  async check(subject) {
    if (subject.name === 'official') return
    const double = await startE2B()
    const shell = await e2bShell(subject, double, { frame })
    /** @type {string[]} */
    const got = []
    shell.onText((text) => got.push(text.trim()))
    await shell.run(`i=0; while [ $i -lt 1000 ]; do printf '{"n":%d,"text":"{\\\\"} ok"}\\n' $i; i=$((i+1)); done`)
    await shell.end()
    double.end()
    const told = got.filter((text) => text.startsWith('{"n":'))
    assert.deepStrictEqual(told, Array.from({ length: 1000 }, (_, n) => `{"n":${n},"text":"{\\"} ok"}`))
  },
})

module.exports = { events }
