'use strict'

/** Sessions: whose sandbox a call works in. */

const { observe, outcome, scenarios, deviation, recordingProvider, withoutLines, AGENT } = require('../harness')

module.exports = [
  ...scenarios('session', {
    'of a first call': async (sdk) => {
      const { kit } = observe(sdk)
      await kit.executeCommand('x')
      return kit.getSession()
    },
    'none before, with an agent': async (sdk) => (await observe(sdk).kit.getSession()) ?? null,
    'resumed once, used often': async (sdk) => {
      const { kit, provider, events } = observe(sdk, undefined, (kit) => kit.withSession('kept'))
      for (const line of ['a', 'b']) await kit.executeCommand(line)
      return { calls: provider.calls, events }
    },
    'resumed by getHost()': async (sdk) => {
      const { kit, provider } = observe(sdk, undefined, (kit) => kit.withSession('kept'))
      return [await kit.getHost(80), await kit.getSession(), provider.calls]
    },
    'resumed by runTests()': async (sdk) => {
      const { kit, provider, events } = observe(sdk, undefined, (kit) => kit.withSession('kept'))
      await outcome(kit.runTests())
      return { calls: withoutLines(provider.calls), events }
    },
    'another one after a kill': async (sdk) => {
      const { kit, provider } = observe(sdk)
      await kit.executeCommand('a')
      await kit.kill()
      const between = await kit.getSession()
      await kit.executeCommand('b')
      return [between, await kit.getSession(), provider.calls]
    },
    'kill() twice': async (sdk) => {
      const { kit, provider } = observe(sdk)
      await kit.executeCommand('a')
      await Promise.all([kit.kill(), kit.kill()].map(outcome))
      return [await kit.getSession(), provider.calls.filter(([name]) => name === 'kill').length > 0]
    },
    'pause, resume, and on it goes': async (sdk) => {
      const { kit, provider } = observe(sdk)
      await kit.executeCommand('a')
      await kit.pause()
      await kit.resume()
      await kit.executeCommand('b')
      return { calls: provider.calls, session: await kit.getSession() }
    },
    'resume() without a pause, twice': async (sdk) => {
      const { kit, provider } = observe(sdk)
      await kit.executeCommand('a')
      await kit.resume()
      await kit.resume()
      return provider.calls
    },
    'resume() that gives another id': async (sdk) => {
      const { kit, provider } = observe(sdk, { resume: () => recordingProvider().instance('moved') })
      await kit.executeCommand('a')
      await kit.resume()
      await kit.executeCommand('b')
      return { calls: provider.calls, session: await kit.getSession() }
    },
    'pause() of a paused one': async (sdk) => {
      const { kit, provider } = observe(sdk)
      await kit.executeCommand('a')
      await kit.pause()
      await kit.pause()
      return provider.calls
    },
    'setSession() of the agent while live': async (sdk) => {
      const { kit } = observe(sdk)
      await kit.executeCommand('a')
      await kit.agent.setSession('sbx-1')
      return kit.getSession()
    },
    'getHost() with any argument': async (sdk) => {
      const seen = []
      const instance = { ...recordingProvider().instance('s'), getHost: async (...args) => (seen.push(args), args.length) }
      const { kit } = observe(sdk, { create: () => instance })
      for (const port of [0, -1, 3000.5, '3000', undefined, null]) await kit.getHost(port)
      return seen
    },
    'the sandbox itself': async (sdk) => {
      const { kit } = observe(sdk)
      await kit.executeCommand('a')
      const sandbox = await kit.agent.getSandbox()
      return [sandbox.sandboxId, sandbox === kit.agent.sandboxInstance, typeof sandbox.commands.run]
    },
  }),
  deviation('D1', 'withSession() shows at once', async (sdk) => (await observe(sdk, undefined, (kit) => kit.withSession('S')).kit.getSession()) ?? null,
    (ours, theirs, expect) => expect([ours, theirs]).toEqual(['S', null])),
  deviation('D1', 'setSession() before the first call is heeded', async (sdk) => {
    const { kit, provider } = observe(sdk)
    await kit.setSession('S')
    const shown = (await kit.getSession()) ?? null
    await kit.executeCommand('x')
    return { shown, calls: provider.calls.map(([name, id]) => [name, typeof id === 'string' ? id : '']) }
  }, (ours, theirs, expect) => {
    expect(ours.shown).toBe('S')
    expect(ours.calls[0]).toEqual(['resume', 'S'])
    expect(theirs.calls[0][0]).toBe('create')
  }),
  deviation('D2', 'setSession() while live takes effect', async (sdk) => {
    const { kit, provider } = observe(sdk)
    await kit.executeCommand('a')
    await kit.setSession('other')
    const shown = await kit.getSession()
    await kit.executeCommand('b')
    return { shown, names: provider.calls.map(([name]) => name) }
  }, (ours, _theirs, expect) => {
    expect(ours.shown).toBe('other')
    expect(ours.names).toContain('resume')
    expect(ours.names).not.toContain('kill')
  }),
  deviation('D3', 'a session that was killed is forgotten', async (sdk) => {
    const { kit, provider } = observe(sdk, undefined, (kit) => kit.withSession('S'))
    await kit.executeCommand('a')
    await kit.kill()
    const shown = (await kit.getSession()) ?? null
    await kit.executeCommand('b')
    return { shown, names: provider.calls.filter(([name]) => name !== 'run').map(([name]) => name) }
  }, (ours, theirs, expect) => {
    expect(ours).toEqual({ shown: null, names: ['resume', 'kill', 'create'] })
    expect(theirs.shown).toBe('S')
  }),
  deviation('D13', 'keys are not shown by the agent', async (sdk) => {
    const { kit } = observe(sdk, undefined, (kit) => kit.withAgent({ ...AGENT, apiKey: 'sk-canary' }))
    await kit.executeCommand('x')
    return require('node:util').inspect(kit.agent, { depth: 0 }).includes('canary')
  }, (ours, theirs, expect) => expect([ours, theirs]).toEqual([false, true])),
]
