'use strict'

const { DockerClient } = require('./lib/services/docker-client')
const { ConfigManager } = require('./lib/services/config-manager')

module.exports = { DockerClient, ConfigManager }
