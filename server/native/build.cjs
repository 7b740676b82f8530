// Compiles the socket pump: part of the root package's install script, also run by hand after a change in this folder.
'use strict'
const addon = require('../../storage/engine/native/addon.cjs')

const { run } = addon(__dirname, 'the native socket pump')
run('configure')
run('build')
