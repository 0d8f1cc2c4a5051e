'use strict'

/** @typedef {import('./verdict').Row} Row */

const COLUMNS = ['', 'figure', 'unit', 'ours', 'ts', 'linear', 'plain', 'official', '/ts', '/linear', '/plain', '/official', 'bar', 'met']
/** Numbers stand to the right. */
const RIGHT = new Set(['ours', 'ts', 'linear', 'plain', 'official', '/ts', '/linear', '/plain', '/official'])

/** @param {number | undefined} value */
function number(value) {
  if (value === undefined) return ''
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** @param {number | undefined} value */
const ratio = (value) => (value === undefined ? '' : `${number(value)}x`)

/** @param {Row} row */
const cells = (row) => [
  row.goal ? `#${row.goal}` : '',
  row.figure,
  row.unit,
  number(row.medians.ours),
  number(row.medians.ts),
  number(row.medians.linear),
  number(row.medians.plain),
  number(row.medians.official),
  ratio(row.ratios.ts),
  ratio(row.ratios.linear),
  ratio(row.ratios.plain),
  ratio(row.ratios.official),
  row.bar,
  row.met === null ? (row.bar ? '?' : '') : row.met ? 'yes' : 'NO',
]

/** @param {readonly string[]} line @param {readonly number[]} widths */
const align = (line, widths) =>
  line.map((cell, i) => (RIGHT.has(COLUMNS[i]) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ').trimEnd()

/**
 * The rows of one case under its title. Widths are fixed so that a table can be printed while it grows.
 * @param {readonly Row[]} rows
 */
function render(rows) {
  return rows.map((row) => align(cells(row), WIDTHS)).join('\n')
}

const WIDTHS = [4, 38, 7, 9, 9, 9, 9, 9, 8, 8, 8, 9, 20, 3]

const header = () => align(COLUMNS, WIDTHS)

module.exports = { render, header }
