'use strict'

/** Restores a session that another process made and reads a file back: `node restore.js <session id> <file>`. */

const { VibeKit } = require('..')

async function main([session, file]) {
  const vibeKit = new VibeKit({
    agent: { type: 'gemini', model: { apiKey: 'not needed to read a file' } },
    // A session keeps the options it was made with.
    environment: { local: {} },
  })
  await vibeKit.setSession(session)
  const { stdout } = await vibeKit.executeCommand(`cat ${file}`)
  process.stdout.write(`  process ${process.pid} restored ${await vibeKit.getSession()}\n  ${file}: ${stdout}`)
  await vibeKit[Symbol.asyncDispose]()
}

main(process.argv.slice(2)).catch((error) => {
  process.exitCode = 1
  process.stderr.write(`${error.stack}\n`)
})
