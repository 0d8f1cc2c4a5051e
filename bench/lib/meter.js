'use strict'

const fs = require('node:fs')
const { monitorEventLoopDelay } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')

const MIB = 1024 * 1024

/** Forgets the high-water mark of resident memory, so that it can be read for one piece of work. */
function resetPeak() {
  try {
    fs.writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Not Linux, or not allowed: the mark then includes what came before, which can only make figures worse.
  }
}

/** @param {'VmHWM' | 'VmRSS'} field @returns {number} MiB */
function resident(field) {
  try {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(fs.readFileSync('/proc/self/status', 'latin1'))
    if (line) return Number(line[1]) / 1024
  } catch {
    // Not Linux.
  }
  return field === 'VmRSS' ? process.memoryUsage.rss() / MIB : process.resourceUsage().maxRSS / 1024
}

/** CPU time of the thread JavaScript runs on, ms; NaN where the kernel does not tell. */
function mainThread() {
  try {
    return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6
  } catch {
    return NaN
  }
}

/**
 * Measures one piece of work.
 * `wallMs`; `cpuMs` of this process, all threads; `mainMs`, that of the thread JavaScript runs on alone; `loopP99Ms` and `loopMaxMs`: how late a timer due every millisecond
 * fired; `rssMb`: peak of resident memory above what was resident before, MiB.
 * @param {() => unknown} work
 */
async function meter(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  // The first tick only sets the clock: without one before the work, a turn that lasts all of it would go unseen.
  await sleep(5)
  resetPeak()
  const before = resident('VmRSS')
  const cpuBefore = process.cpuUsage()
  const mainBefore = mainThread()
  const start = performance.now()
  await work()
  const wallMs = performance.now() - start
  const cpu = process.cpuUsage(cpuBefore)
  const main = mainThread() - mainBefore
  const peak = resident('VmHWM')
  // A turn that lasted to the end is only noticed by the next tick.
  await sleep(2)
  delay.disable()
  const late = (/** @type {number} */ ns) => Math.max(0, ns / 1e6 - 1)
  return {
    wallMs,
    cpuMs: (cpu.user + cpu.system) / 1000,
    mainMs: main,
    loopP99Ms: late(delay.percentile(99)),
    loopMaxMs: late(delay.max),
    rssMb: Math.max(0, peak - before),
  }
}

module.exports = { meter, resident, resetPeak, MIB }
