'use strict'

/**
 * The shape of a benchmark. A case measures one thing for several subjects; the figures say what of it is shown and what
 * is asked of it.
 *
 * @typedef {'ours' | 'ts' | 'linear' | 'plain' | 'official'} SubjectName
 *
 * @typedef {object} Figure
 * @property {string} label  what it is, for humans
 * @property {string} of  name of the metric {@link Case.measure} gave
 * @property {string} unit
 * @property {boolean} [more]  true when more is better; less is better otherwise
 * @property {string} [goal]  row of the table of goals it belongs to
 * @property {number} [atMost]  bar: ours, at most
 * @property {number} [atLeast]  bar: ours, at least
 * @property {SubjectName} [over]  the subject ours is held against
 * @property {number} [times]  bar: ours at least this many times better than `over`
 * @property {number} [share]  bar: ours at most this many times `over`
 * @property {number} [plus]  bar: ours at most `over` plus this
 *
 * @typedef {Record<string, number | undefined>} Metrics
 *
 * @typedef {object} Run
 * @property {boolean} quick  sizes for a first impression
 * @property {boolean} long  no size is left out, however long it takes
 *
 * @typedef {object} Case
 * @property {string} title
 * @property {string} [note]  what a reader of the table has to know
 * @property {SubjectName[]} subjects  in the order in which they take turns
 * @property {number} [rounds]  samples of every subject; default 5
 * @property {number} [quickRounds]  the same with `--quick`; default 2
 * @property {number} [limitS]  seconds one sample may take; default 60
 * @property {string[]} [nodeOptions]  for the process of a sample
 * @property {Figure[]} figures
 * @property {(subject: any, run: Run) => Promise<Metrics>} measure  one sample, alone in a fresh process
 * @property {(subject: any) => Promise<void>} [check]  untimed: throws when what arrives is not what was sent
 * @property {(samples: Partial<Record<SubjectName, Metrics[]>>) => void} [derive]  adds metrics that need several samples
 */

/** @param {Case} definition */
const defineCase = (definition) => definition

module.exports = { defineCase }
