'use strict'

/** The constants of the public API. Plain mutable objects, as upstream's. */

/** Type, name for humans, description, model vendor, capabilities. */
const AGENTS = /** @type {const} */ ([
  ['claude', 'Claude', "Anthropic's Claude Code agent", 'anthropic', ['code', 'chat', 'analysis', 'documentation']],
  ['codex', 'Codex', "OpenAI's Codex agent", 'openai', ['code', 'completion', 'refactoring']],
  ['gemini', 'Gemini', "Google's Gemini CLI agent", 'google', ['code', 'chat', 'multimodal']],
  ['grok', 'Grok', "xAI's Grok agent", 'xai', ['code', 'chat', 'analysis']],
  ['opencode', 'OpenCode', 'Open source coding agent', 'opensource', ['code', 'open-source', 'customizable']],
])

/** Type, name for humans, description. */
const PROVIDERS = /** @type {const} */ ([
  ['cloudflare', 'Cloudflare', 'Edge computing and serverless platform'],
  ['dagger', 'Dagger', 'Container-based CI/CD platform'],
  ['daytona', 'Daytona', 'Development environment orchestration platform'],
  ['e2b', 'E2B', 'Cloud development sandbox platform'],
  ['northflank', 'Northflank', 'Cloud deployment and infrastructure platform'],
  ['modal', 'Modal', 'Serverless cloud platform for running code in containers'],
])

/**
 * An object with one entry per row.
 * @template R, V
 * @param {readonly R[]} rows
 * @param {(row: R) => [string, V]} entry
 * @returns {Record<string, V>}
 */
const table = (rows, entry) => Object.fromEntries(rows.map(entry))

/** @param {readonly (readonly [string, string, string, ...unknown[]])[]} rows */
const templates = (rows) =>
  rows.map(([name, display, description]) => ({ name, display, message: `${display} - ${description}` }))

module.exports = {
  AGENT_TYPES: table(AGENTS, ([type]) => [type.toUpperCase(), type]),
  AGENT_LIST: AGENTS.map(([type]) => type),
  AGENT_TEMPLATES: templates(AGENTS),
  AGENT_DISPLAY_NAMES: table(AGENTS, ([type, display]) => [type, display]),
  AGENT_DESCRIPTIONS: table(AGENTS, ([type, , description]) => [type, description]),
  AGENT_PROVIDERS: table(AGENTS, ([type, , , provider]) => [type, provider]),
  AGENT_CAPABILITIES: table(AGENTS, ([type, , , , capabilities]) => [type, [...capabilities]]),
  SANDBOX_PROVIDERS: table(PROVIDERS, ([type, display]) => [type.toUpperCase(), display]),
  PROVIDER_TYPES: table(PROVIDERS, ([type]) => [type.toUpperCase(), type]),
  PROVIDER_TEMPLATES: templates(PROVIDERS),
  PROVIDER_DISPLAY_NAMES: table(PROVIDERS, ([type, display]) => [type, display]),
  PROVIDER_DESCRIPTIONS: table(PROVIDERS, ([type, , description]) => [type, description]),
}
