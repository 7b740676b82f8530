/**
 * Runs a TypeScript program of this repository: esbuild joins its sources into one module, Node runs that. The module is
 * kept under node_modules/.cache and used again while no source has changed.
 *
 * Why not a loader: tsx keeps a worker thread, an esbuild process and a wrapper round every inner function (`keepNames`)
 * for the life of the process. Measured on an idle server: see server/README.md, decisions.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const SOURCES = ['server', 'sql', 'storage', 'replication', 'cluster-cli']
const MAPS = process.env.ALOPEX_SOURCE_MAPS === '1'
const CACHE = join(ROOT, 'node_modules', '.cache', 'alopex')

/** Imports `entry` (a path from the repository's root) and gives its exports. */
export async function load(entry) {
  const file = join(CACHE, `${entry.replaceAll(/[/.]/g, '-')}-${signature()}.mjs`)
  if (!existsSync(file)) await write(file, await joined(entry))
  if (MAPS) process.setSourceMapsEnabled(true)
  return await import(pathToFileURL(file).href)
}

/** Changes when a source does: names, sizes and times of all of them, and where they lie. */
function signature() {
  const hash = createHash('sha256').update(`${ROOT} ${process.version} ${MAPS}`)
  for (const folder of SOURCES) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true })) {
      if (!entry.endsWith('.ts')) continue
      const { size, mtimeMs } = statSync(join(ROOT, folder, entry))
      hash.update(`${folder}/${entry} ${size} ${mtimeMs}\n`)
    }
  }
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
    format: 'esm',
    packages: 'external',
    // Maps cost 13 MB resident: stack traces name functions and the joined file's lines unless they are asked for.
    sourcemap: MAPS && 'inline',
    sourcesContent: false,
    plugins: [ownPlaces],
    logLevel: 'error',
  })
  await stop()
  return outputFiles[0].contents
}

/** Whole or not at all: several servers may start at once. */
async function write(file, contents) {
  await mkdir(CACHE, { recursive: true })
  const own = `${file}.${process.pid}`
  await writeFile(own, contents)
  await rename(own, file)
}
