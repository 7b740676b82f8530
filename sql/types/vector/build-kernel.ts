/**
 * Assembles kernel.wat into kernel-bytes.ts. Run it after a change of the source, where npm's `wabt` can be resolved
 * (it is no dependency of the project):
 *
 *     npx --package=wabt --package=tsx tsx sql/types/vector/build-kernel.ts [path to the wabt module]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

interface Assembler {
  parseWat(
    name: string,
    source: string,
    features: Readonly<Record<string, boolean>>,
  ): { toBinary(options: Readonly<Record<string, boolean>>): { readonly buffer: Uint8Array } }
}

const given = process.argv[2]
const loaded = (await import(given === undefined ? 'wabt' : pathToFileURL(given).href)) as {
  readonly default: () => Promise<Assembler>
}
const assembler = await loaded.default()
const source = readFileSync(new URL('kernel.wat', import.meta.url), 'utf8')
const bytes = assembler.parseWat('kernel.wat', source, { simd: true, threads: true }).toBinary({}).buffer
const lines =
  Buffer.from(bytes)
    .toString('base64')
    .match(/.{1,110}/g) ?? []
const text = `/** Made from kernel.wat by build-kernel.ts: the assembled distance kernel, base64. */
export const KERNEL_BYTES =
${lines.map((line) => `  '${line}'`).join(' +\n')}
`
writeFileSync(new URL('kernel-bytes.ts', import.meta.url), text)
process.stdout.write(`${bytes.length} bytes\n`)
