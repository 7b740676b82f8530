// Compiles the native engine and RocksDB: part of the root package's install script, also run by hand after a change in
// this folder, when RocksDB is not compiled again.
//
// RocksDB's sources come with the npm package `rocksdb`. They are compiled as a few units that include them one after the
// other, so that their headers are read once a unit: about a minute on two cores instead of ten, and up to 1.2 GB of memory
// for each unit that is being compiled (JOBS=1: one at a time).
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const addon = require('./addon.cjs')

const ROCKSDB_PACKAGE = '5.2.1'
const UNITS = 4
/** Parts of RocksDB that nothing here uses. */
const UNUSED = [
  /^(tools|port\/win)\//,
  /^db\/c\.cc$/,
  /^util\/build_version\.cc$/, // its values are in the package's build_version.cc
  /^utilities\/(backupable|blob_db|cassandra|leveldb_options|memory|merge_operators|option_change_migration)\//,
  /^utilities\/(options|persistent_cache|simulator_cache|table_properties_collectors|trace|ttl)\//,
  /^utilities\/(compaction_filters|convenience|write_batch_with_index)\//,
  /^utilities\/transactions\/(?!snapshot_checker\.cc$)/,
  /^utilities\/(env_mirror|env_timed|debug)\.cc$/,
]
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
  return path.join(path.dirname(manifest), 'deps/rocksdb')
}

/** The files that RocksDB's own makefile lists as its library. */
function librarySources(rocksdb) {
  const makefile = fs.readFileSync(path.join(rocksdb, 'rocksdb/src.mk'), 'utf8')
  const list = /^LIB_SOURCES =([\s\S]*?)\n\n/m.exec(makefile)
  if (!list) stop("RocksDB's src.mk names no LIB_SOURCES")
  return list[1].match(/[\w/]+\.cc/g).filter((file) => !UNUSED.some((part) => part.test(file)))
}

/** Cuts the sources, in their order, into units of about the same number of bytes. */
function units(rocksdb) {
  const files = librarySources(rocksdb).map((file) => path.join('rocksdb', file))
  const bytes = files.map((file) => fs.statSync(path.join(rocksdb, file)).size)
  const each = bytes.reduce((sum, size) => sum + size, 0) / UNITS
  const cut = Array.from({ length: UNITS }, () => [])
  let before = 0
  files.forEach((file, i) => {
    cut[Math.floor(before / each)].push(file)
    before += bytes[i]
  })
  cut[0].push('build_version.cc')
  return cut.map((unit) => unit.map((file) => `#include "${path.join(rocksdb, file)}"\n`).join(''))
}

/** A file that is as it should be is left alone: make goes by the time of its last change. */
function put(file, content) {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === content) return
  fs.writeFileSync(file, content)
}

const rocksdb = rocksdbFolder()
const folder = path.join(here, 'build', 'rocksdb')
fs.mkdirSync(folder, { recursive: true })
const paths = units(rocksdb).map((unit, i) => {
  const file = `unit-${i + 1}.cc`
  put(path.join(folder, file), unit)
  return path.join('build/rocksdb', file)
})
run('configure', `-Drocksdb=${path.relative(here, rocksdb)}`, `-Drocksdb_units=${paths.join(' ')}`)
run('build')
