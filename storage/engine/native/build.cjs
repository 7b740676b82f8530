// Compiles the native engine: part of the root package's install script, also run by hand after a change in this folder.
//
// On Linux x64 it links the RocksDB library that the npm package `rocksdb` brings along; elsewhere it compiles that
// package's sources (4 to 5 minutes; ALOPEX_ROCKSDB_FROM_SOURCE=1 asks for it anywhere).
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const addon = require('./addon.cjs')

const ROCKSDB_PACKAGE = '5.2.1'
const here = __dirname
const { run, stop } = addon(here, 'the native storage engine')

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

const rocksdb = rocksdbFolder()
const library = prebuiltLibrary(rocksdb)
const release = path.join(here, 'build', 'Release')
// The prebuilt library has its assertions on, and what includes its headers has to agree with it. From sources they are
// off, which takes a quarter off a scan.
if (!library) process.env.CXXFLAGS = `-DNDEBUG ${process.env.CXXFLAGS ?? ''}`
const variables = [`-Drocksdb_root=${path.relative(here, rocksdb)}`]
if (library) variables.push(`-Drocksdb_library=${release}`, `-Dcxx11_abi=${stringAbi(library)}`)
run('configure', ...variables)
fs.mkdirSync(release, { recursive: true })
// The addon asks for the library by its own name, `leveldown.node`, beside itself.
const link = path.join(release, 'leveldown.node')
fs.rmSync(link, { force: true })
if (library) fs.symlinkSync(path.relative(release, library), link)
run('build')
