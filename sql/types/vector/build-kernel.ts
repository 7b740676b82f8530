/**
 * Compiles the kernel (kernel.c, text.c, and the graph's work in sql/vector/graph/graph.c) into kernel-bytes.ts. Run it after a
 * change of a source, with clang and wasm-ld (Debian: `apt-get install clang lld`; the bytes that are checked in come from version 14):
 *
 *     npx tsx sql/types/vector/build-kernel.ts
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const FLAGS = ['--target=wasm32', '-O3', '-msimd128', '-matomics', '-mbulk-memory', '-mmutable-globals']
const CODE = ['-std=c11', '-ffreestanding', '-fno-math-errno', '-Wall', '-Wextra', '-Wno-unused-function']
const LINK = ['-nostdlib', '-flto', '-Wl,--no-entry', '-Wl,--import-memory', '-Wl,--shared-memory', '-Wl,--lto-O3']
const MEMORY = [
  '-Wl,--max-memory=4294967296',
  '-Wl,--export=__stack_pointer',
  '-Wl,--strip-all',
  '-Wl,-z,stack-size=4096',
]

const folder = mkdtempSync(join(tmpdir(), 'kernel-'))
const out = join(folder, 'kernel.wasm')
const sources = [path('kernel.c'), path('text.c'), path('../../vector/graph/graph.c')]
execFileSync('clang', [...FLAGS, ...CODE, ...LINK, ...MEMORY, ...process.argv.slice(2), '-o', out, ...sources], {
  stdio: 'inherit',
})
const bytes = readFileSync(out)
rmSync(folder, { recursive: true })
const lines = bytes.toString('base64').match(/.{1,110}/g) ?? []
const text = `/** Made from kernel.c, text.c and graph.c by build-kernel.ts: the compiled kernel, base64. */
export const KERNEL_BYTES =
${lines.map((line) => `  '${line}'`).join(' +\n')}
`
writeFileSync(new URL('kernel-bytes.ts', import.meta.url), text)
process.stdout.write(`${bytes.length} bytes\n`)
