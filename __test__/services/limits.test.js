'use strict'

/** How long each command may take. Waiting for them would take hours, so what is asked for is looked at. */

jest.mock('../../lib/services/run', () => {
  const actual = jest.requireActual('../../lib/services/run')
  return { ...actual, run: jest.fn(async () => ({ stdout: '', stderr: '' })) }
})

const { run } = require('../../lib/services/run')
const { DockerClient } = require('../../lib/services/docker-client')
const { GitHubContainerRegistry } = require('../../lib/registry/github')
const { AWSECRRegistry } = require('../../lib/registry/ecr')

const docker = new DockerClient()
const github = new GitHubContainerRegistry({ githubToken: 'token' })
const ecr = new AWSECRRegistry({ awsAccountId: '1' })

const SECOND = 1_000
const HOUR = 3_600_000

test.each([
  ['docker login', 5 * SECOND, () => docker.checkDockerLogin()],
  ['docker info', 30 * SECOND, () => docker.checkDockerLogin()],
  ['docker images', 30 * SECOND, () => docker.listImages()],
  ['docker images', 30 * SECOND, () => docker.checkLocalImage('a')],
  ['docker rmi', 30 * SECOND, () => docker.removeImage('a')],
  ['docker tag', 30 * SECOND, () => docker.tagImage('a', 'b')],
  ['docker build', 600 * SECOND, () => docker.buildImage('Dockerfile', 'a')],
  ['docker pull', HOUR, () => docker.pullImage('a')],
  ['docker push', HOUR, () => docker.pushImage('a')],
  ['docker system', 30 * SECOND, () => github.checkLogin()],
  ['docker login', 60 * SECOND, () => github.login('ann')],
  ['docker pull', HOUR, () => github.pullImage('a')],
  ['aws ecr', 60 * SECOND, () => ecr.login()],
  ['docker login', 60 * SECOND, () => ecr.login()],
  ['aws ecr', 60 * SECOND, () => ecr.ensureRepository('a')],
  ['aws sts', 60 * SECOND, () => ecr.setupRegistry(['codex'])],
  ['docker pull', HOUR, () => ecr.pullImage('a')],
])('%s: %d ms', async (command, limit, work) => {
  jest.mocked(run).mockClear()
  await work()
  const found = jest.mocked(run).mock.calls.find(([program, args]) => `${program} ${args[0]}` === command)
  expect(found?.[2].timeoutMs).toBe(limit)
})
