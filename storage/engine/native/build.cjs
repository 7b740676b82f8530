// Compiles the native engine: the root package's install script, also run by hand after a change in this folder.
//
// On Linux x64 it links the RocksDB library that the npm package `rocksdb` brings along; elsewhere it compiles that
// package's sources (4 to 5 minutes; ALOPEX_ROCKSDB_FROM_SOURCE=1 asks for it anywhere). It uses the node-gyp of npm
// itself and Node's own headers where they are installed, so that nothing is downloaded.
'use strict'
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROCKSDB_PACKAGE = '5.2.1'
const here = __dirname
const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)))

function stop(message) {
  console.error(`alopex: the native storage engine cannot be built: ${message}`)
  process.exit(1)
}

function runs(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
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

function rocksdbFolder() {
  let manifest
  try {
    manifest = require.resolve('rocksdb/package.json', { paths: [here] })
  } catch (error) {
    stop(`the package rocksdb is not installed (${error.code})`)
  }
  const { version } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
  if (version !== ROCKSDB_PACKAGE) stop(`it is written for rocksdb ${ROCKSDB_PACKAGE}, found ${version}`)
  return path.dirname(manifest)
}

/** The prebuilt library for this platform, when it exports RocksDB's C++ interface. */
function prebuiltLibrary(rocksdb) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
  if (process.env.ALOPEX_ROCKSDB_FROM_SOURCE) return undefined
  const libc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
  const file = path.join(rocksdb, 'prebuilds', 'linux-x64', `node.napi.${libc}.node`)
  return fs.existsSync(file) ? file : undefined
}

/** DB::Open's mangled name says which std::string the library was compiled with. */
function stringAbi(library) {
  const symbols = fs.readFileSync(library)
  if (symbols.includes('_ZN7rocksdb2DB4OpenERKNS_7OptionsERKSsPPS0_')) return '0'
  if (symbols.includes('_ZN7rocksdb2DB4OpenERKNS_7OptionsERKNSt7__cxx1112basic_string')) return '1'
  return stop(`${library} does not export RocksDB's C++ interface`)
}

function nodeGyp() {
  const candidates = [
    process.env.npm_config_node_gyp,
    path.join(prefix, 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  ]
  try {
    candidates.push(require.resolve('node-gyp/bin/node-gyp.js', { paths: [here] }))
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
  }
  const found = candidates.find((file) => file && fs.existsSync(file))
  return found ?? stop('node-gyp was not found; it is part of npm')
}

function headers() {
  if (process.env.npm_config_nodedir) return process.env.npm_config_nodedir
  return fs.existsSync(path.join(prefix, 'include/node/node_api.h')) ? prefix : undefined
}

checkTools()
const rocksdb = rocksdbFolder()
const library = prebuiltLibrary(rocksdb)
const release = path.join(here, 'build', 'Release')
const gyp = nodeGyp()
const nodedir = headers()

function run(step, ...gypArguments) {
  const args = [gyp, step, '--directory', here, '--jobs', process.env.JOBS || 'max']
  if (nodedir) args.push('--nodedir', nodedir)
  if (gypArguments.length > 0) args.push('--', ...gypArguments)
  const stdio = process.env.ALOPEX_BUILD_VERBOSE ? 'inherit' : 'pipe'
  try {
    execFileSync(process.execPath, args, { stdio, encoding: 'utf8' })
  } catch (error) {
    stop(`node-gyp ${step} failed\n${error.stdout ?? ''}${error.stderr ?? ''}`)
  }
}

const variables = [`-Drocksdb_root=${path.relative(here, rocksdb)}`]
if (library) variables.push(`-Drocksdb_library=${release}`, `-Dcxx11_abi=${stringAbi(library)}`)
run('configure', ...variables)
fs.mkdirSync(release, { recursive: true })
// The addon asks for the library by its own name, `leveldown.node`, beside itself.
const link = path.join(release, 'leveldown.node')
fs.rmSync(link, { force: true })
if (library) fs.symlinkSync(path.relative(release, library), link)
run('build')
