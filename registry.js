'use strict'

const { DockerHubRegistry } = require('./lib/registry/docker-hub')
const { GitHubContainerRegistry } = require('./lib/registry/github')
const { AWSECRRegistry } = require('./lib/registry/ecr')
const { RegistryManager } = require('./lib/registry/manager')
const { ImageResolver } = require('./lib/registry/resolver')

module.exports = { DockerHubRegistry, GitHubContainerRegistry, AWSECRRegistry, RegistryManager, ImageResolver }
