'use strict'

/**
 * What each agent calls its tools. A scripted `write` or `run` becomes a call of whichever of these the request
 * offers, so that the agent really carries it out.
 *
 * @typedef {import('../model-server').Reply} Reply
 * @typedef {{ name: string, input: object } | { name: string, script: string }} Call
 */

/** @param {string} path @param {string} content */
function patch(path, content) {
  const lines = content.replace(/\n$/, '').split('\n')
  return ['*** Begin Patch', `*** Add File: ${path}`, ...lines.map((line) => `+${line}`), '*** End Patch', ''].join('\n')
}

/** @type {Record<string, (file: { path: string, content: string }) => Call>} */
const writers = {
  // Claude Code
  Write: ({ path, content }) => ({ name: 'Write', input: { file_path: path, content } }),
  // Gemini CLI
  write_file: ({ path, content }) => ({ name: 'write_file', input: { file_path: path, content } }),
  // OpenCode, and Grok
  write: ({ path, content }) => ({ name: 'write', input: { filePath: path, file_path: path, content, contents: content } }),
  // The older Grok
  create_file: ({ path, content }) => ({ name: 'create_file', input: { path, content } }),
  // Grok
  search_replace: ({ path, content }) => ({
    name: 'search_replace',
    input: { file_path: path, old_string: '', new_string: content },
  }),
  // Codex with plain tools; OpenCode with OpenAI's models
  apply_patch: ({ path, content }) => ({
    name: 'apply_patch',
    input: { patchText: patch(path, content) },
    script: patch(path, content),
  }),
  // Codex in code mode: one tool that takes JavaScript
  exec: ({ path, content }) => ({
    name: 'exec',
    script: `text(await tools.apply_patch(${JSON.stringify(patch(path, content))}))`,
  }),
}

/** @type {Record<string, (command: string) => Call>} */
const runners = {
  Bash: (command) => ({ name: 'Bash', input: { command, description: 'Run a command' } }),
  run_shell_command: (command) => ({ name: 'run_shell_command', input: { command } }),
  bash: (command) => ({ name: 'bash', input: { command, description: 'Run a command' } }),
  run_terminal_command: (command) => ({ name: 'run_terminal_command', input: { command, description: 'Run a command' } }),
  run_terminal_cmd: (command) => ({ name: 'run_terminal_cmd', input: { command, description: 'Run a command' } }),
  exec_command: (command) => ({ name: 'exec_command', input: { cmd: command } }),
  exec: (command) => ({
    name: 'exec',
    script: `const result = await tools.exec_command(${JSON.stringify({ cmd: command })}); text(JSON.stringify(result))`,
  }),
}

/**
 * The tool call a reply asks for, in the words of the tools on offer. A tool that is not on offer is called by its
 * first name all the same, as a model would that was told of it elsewhere: the agent has to refuse it.
 * @param {string[]} offered
 * @param {Reply} reply
 * @returns {Call | undefined}
 */
function call(offered, reply) {
  const pick = (/** @type {Record<string, any>} */ table) =>
    table[Object.keys(table).find((name) => offered.includes(name)) ?? Object.keys(table)[0]]
  if (reply.call) return reply.call
  if (reply.write) return pick(writers)(reply.write)
  if (reply.run !== undefined) return pick(runners)(reply.run)
  return undefined
}

module.exports = { call }
