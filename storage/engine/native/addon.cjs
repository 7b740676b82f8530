// How an addon of this repository is compiled: with the node-gyp of npm itself and Node's own headers where they are
// installed, so that nothing is downloaded.
'use strict'
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)))

function runs(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function headers() {
  if (process.env.npm_config_nodedir) return process.env.npm_config_nodedir
  return fs.existsSync(path.join(prefix, 'include/node/node_api.h')) ? prefix : undefined
}

/** `run(step, …arguments)` runs node-gyp in `folder`; `stop(reason)` ends the build. `what` is named in messages. */
module.exports = function addon(folder, what) {
  function stop(message) {
    console.error(`alopex: ${what} cannot be built: ${message}`)
    process.exit(1)
  }

  function checkTools() {
    if (process.platform === 'win32') stop('Windows is not supported; use Linux, macOS or WSL')
    const missing = []
    if (!runs(process.env.npm_config_python || process.env.PYTHON || 'python3', '--version')) missing.push('python3')
    if (!runs('make', '--version')) missing.push('make')
    if (!runs(process.env.CXX || (process.platform === 'darwin' ? 'c++' : 'g++'), '--version')) {
      missing.push('a C++17 compiler (g++)')
    }
    if (missing.length > 0) {
      const hint = 'It needs python3, make and a C++17 compiler, e.g. apt-get install python3 make g++'
      stop(`missing ${missing.join(', ')}. ${hint}`)
    }
  }

  function nodeGyp() {
    const candidates = [
      process.env.npm_config_node_gyp,
      path.join(prefix, 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
    ]
    try {
      candidates.push(require.resolve('node-gyp/bin/node-gyp.js', { paths: [folder] }))
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error
    }
    const found = candidates.find((file) => file && fs.existsSync(file))
    return found ?? stop('node-gyp was not found; it is part of npm')
  }

  checkTools()
  const gyp = nodeGyp()
  const nodedir = headers()

  function run(step, ...gypArguments) {
    const args = [gyp, step, '--directory', folder, '--jobs', process.env.JOBS || 'max']
    if (nodedir) args.push('--nodedir', nodedir)
    if (gypArguments.length > 0) args.push('--', ...gypArguments)
    const stdio = process.env.ALOPEX_BUILD_VERBOSE ? 'inherit' : 'pipe'
    try {
      execFileSync(process.execPath, args, { stdio, encoding: 'utf8' })
    } catch (error) {
      stop(`node-gyp ${step} failed\n${error.stdout ?? ''}${error.stderr ?? ''}`)
    }
  }
  return { run, stop }
}
