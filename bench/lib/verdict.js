'use strict'

const { median } = require('./stats')

/** @typedef {import('./case').Figure} Figure @typedef {import('./case').SubjectName} SubjectName */
/** @typedef {import('./runner').Outcome} Outcome */

/**
 * @typedef {object} Row  one figure of the table
 * @property {string} case @property {string} title @property {string} figure @property {string} unit @property {string} [goal]
 * @property {Partial<Record<SubjectName, number>>} medians
 * @property {Partial<Record<SubjectName, number>>} best
 * @property {Partial<Record<SubjectName, number>>} ratios  how many times better ours is, the median over rounds
 * @property {string} bar  what is asked, in words
 * @property {boolean | null} met  null: nothing is asked, or it could not be measured
 */

/** @param {readonly number[]} values @param {Figure} figure */
const best = (values, figure) => (figure.more ? Math.max(...values) : Math.min(...values))

/**
 * Values of two subjects round by round.
 * @param {Outcome} outcome @param {Figure} figure @param {SubjectName} other
 * @returns {Array<[number, number]>} ours first
 */
function pairs(outcome, figure, other) {
  const ours = outcome.samples.ours ?? []
  const theirs = outcome.samples[other] ?? []
  /** @type {Array<[number, number]>} */
  const both = ours.map((metrics, round) => [metrics[figure.of] ?? NaN, theirs[round]?.[figure.of] ?? NaN])
  return both.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b))
}

/** @param {Figure} figure */
function bar({ atMost, atLeast, times, share, plus, over, unit }) {
  if (atMost !== undefined) return `≤ ${atMost} ${unit}`.trimEnd()
  if (atLeast !== undefined) return `≥ ${atLeast} ${unit}`
  if (plus !== undefined) return `≤ ${over} + ${plus} ${unit}`
  if (share !== undefined) return `≤ ${share}x ${over}`
  if (times !== undefined) return `≥ ${times}x ${over}`
  return ''
}

/**
 * @param {Figure} figure @param {Partial<Record<SubjectName, number>>} medians @param {Partial<Record<SubjectName, number>>} ratios
 * @param {Outcome} outcome
 */
function met(figure, medians, ratios, outcome) {
  const { ours } = medians
  if (ours === undefined) return null
  if (figure.atMost !== undefined) return ours <= figure.atMost
  if (figure.atLeast !== undefined) return ours >= figure.atLeast
  if (figure.over === undefined) return null
  const both = pairs(outcome, figure, figure.over)
  if (both.length === 0) return null
  if (figure.plus !== undefined) return median(both.map(([a, b]) => a - b)) <= figure.plus
  const asked = figure.times ?? (figure.share === undefined ? undefined : 1 / figure.share)
  return asked === undefined ? null : (ratios[figure.over] ?? 0) >= asked
}

/**
 * @param {string} name @param {import('./case').Case} definition @param {Outcome} outcome
 * @returns {Row[]}
 */
function rows(name, definition, outcome) {
  return definition.figures.map((figure) => {
    /** @type {Row} */
    const row = { case: name, title: definition.title, figure: figure.label, unit: figure.unit, goal: figure.goal, medians: {}, best: {}, ratios: {}, bar: bar(figure), met: null }
    for (const subject of definition.subjects) {
      const values = (outcome.samples[subject] ?? []).map((metrics) => metrics[figure.of] ?? NaN).filter(Number.isFinite)
      if (values.length === 0) continue
      row.medians[subject] = median(values)
      row.best[subject] = best(values, figure)
      if (subject === 'ours') continue
      const both = pairs(outcome, figure, subject).filter(([a, b]) => a > 0 && b > 0)
      if (both.length > 0) row.ratios[subject] = median(both.map(([a, b]) => (figure.more ? a / b : b / a)))
    }
    row.met = met(figure, row.medians, row.ratios, outcome)
    return row
  })
}

module.exports = { rows }
