/**
 * Runs a TypeScript program of this repository: esbuild joins its sources and the packages they use into one script, V8's
 * code for it is kept beside it. Both lie under node_modules/.cache and are used again while no source has changed.
 *
 *     <entry>-<signature>.cjs          the script
 *     <entry>-<signature>.cjs.code     V8's code | CRC-32 u32: of the functions that had run SETTLED_MS after the first start
 *
 * Why not a loader: tsx keeps a worker thread, an esbuild process and a wrapper round every inner function (`keepNames`)
 * for the life of the process. Measured on an idle server: see server/README.md, decisions.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { constants, Script } from 'node:vm'
import { crc32 } from 'node:zlib'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const SOURCES = ['server', 'sql', 'storage', 'replication', 'cluster-cli']
const MAPS = process.env.ALOPEX_SOURCE_MAPS === '1'
const CACHE = join(ROOT, 'node_modules', '.cache', 'alopex')
/** Scripts that are kept: of this and of the last changes. */
const KEPT = 16
/** Packages that have files of their own to find. */
const APART = ['libpg-query', 'rocksdb', 'esbuild']
/** What a server needs has run by then. */
const SETTLED_MS = 10_000

/** Runs `entry` (a path from the repository's root) and gives its exports. */
export async function load(entry) {
  const file = join(CACHE, `${entry.replaceAll(/[/.]/g, '-')}-${signature()}.cjs`)
  const require = createRequire(join(ROOT, 'package.json'))
  if (!existsSync(file)) {
    await write(file, await joined(entry))
    await tidy()
  }
  if (MAPS) {
    process.setSourceMapsEnabled(true)
    return require(file)
  }
  // The joined script is ASCII.
  const text = `(function (module, exports, require) {${readFileSync(file, 'latin1')}\n})`
  const code = `${file}.code`
  const cachedData = intact(code)
  const script = new Script(text, {
    filename: file,
    cachedData,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const module = { exports: {} }
  script.runInThisContext()(module, module.exports, require)
  if (cachedData === undefined || script.cachedDataRejected) setTimeout(keep, SETTLED_MS, script, code).unref()
  return module.exports
}

/** Changes when a source does: names, sizes and times of all of them, the packages' versions, and where they lie. */
function signature() {
  const hash = createHash('sha256').update(`${ROOT} ${process.version} ${MAPS}`)
  const add = (name) => {
    const { size, mtimeMs } = statSync(join(ROOT, name))
    hash.update(`${name} ${size} ${mtimeMs}\n`)
  }
  const walk = (folder) => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      const name = `${folder}/${entry.name}`
      if (entry.isDirectory()) walk(name)
      else if (name.endsWith('.ts')) add(name)
    }
  }
  SOURCES.forEach(walk)
  add('package-lock.json')
  return hash.digest('hex').slice(0, 16)
}

/** Each source keeps its own place: data files and addons are found beside it. */
const ownPlaces = {
  name: 'own places',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const contents = text
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
      return { loader: 'ts', contents }
    })
  },
}

async function joined(entry) {
  const { build, stop } = await import('esbuild')
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    charset: 'ascii',
    external: APART,
    // Maps cost 13 MB resident: stack traces name functions and the joined file's lines unless they are asked for.
    sourcemap: MAPS && 'inline',
    sourcesContent: false,
    plugins: [ownPlaces],
    logLevel: 'error',
  })
  await stop()
  return outputFiles[0].contents
}

/** V8's code, unless it is missing or damaged: V8 would believe it. */
function intact(file) {
  if (!existsSync(file)) return undefined
  const bytes = readFileSync(file)
  const end = bytes.length - 4
  return end > 0 && crc32(bytes.subarray(0, end)) === bytes.readUInt32LE(end) ? bytes.subarray(0, end) : undefined
}

/** 20 ms of this thread, once after a change. Without it the next start takes longer: a full disk is no reason to end. */
function keep(script, file) {
  const code = script.createCachedData()
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(code))
  write(file, Buffer.concat([code, sum])).catch((error) =>
    process.emitWarning(`V8's code for the next start could not be kept: ${error.message}`),
  )
}

/** Whole or not at all: several servers may start at once. */
async function write(file, contents) {
  await mkdir(CACHE, { recursive: true })
  const own = `${file}.${process.pid}`
  const handle = await open(own, 'w')
  try {
    await handle.writeFile(contents)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(own, file)
}

/** Removes the oldest scripts and their code. What is running has been read. */
async function tidy() {
  const scripts = readdirSync(CACHE).filter((name) => /\.[cm]js$/.test(name))
  const ages = await Promise.all(scripts.map(async (name) => [name, (await stat(join(CACHE, name))).mtimeMs]))
  ages.sort((a, b) => b[1] - a[1])
  for (const [name] of ages.slice(KEPT))
    for (const each of [name, `${name}.code`]) await rm(join(CACHE, each), { force: true })
}
