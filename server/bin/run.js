/**
 * Runs a TypeScript program of this repository: esbuild joins its sources into one module (about 0.1 s), Node runs that.
 *
 * Why not a loader: tsx keeps a worker thread, an esbuild process and a wrapper round every inner function (`keepNames`)
 * for the life of the process. Measured on an idle server: see server/README.md, decisions.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, stop } from 'esbuild'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const MAPS = process.env.ALOPEX_SOURCE_MAPS === '1'
const CACHE = join(ROOT, 'node_modules', '.cache', 'alopex')

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

/** Imports `entry` (a path from the repository's root) and gives its exports. */
export async function load(entry) {
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
  // One file a process, so that two servers may start at once; the newest is kept for debuggers.
  await mkdir(CACHE, { recursive: true })
  const file = join(CACHE, `${entry.replaceAll(/[/.]/g, '-')}.mjs`)
  const own = `${file}.${process.pid}`
  await writeFile(own, outputFiles[0].contents)
  await rename(own, file)
  if (MAPS) process.setSourceMapsEnabled(true)
  return await import(`${pathToFileURL(file).href}?${process.pid}`)
}
