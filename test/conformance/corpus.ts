/** Where others' test material lies: beside the checkout, in ../shared/conformance, or where CONFORMANCE says. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = process.env.CONFORMANCE ?? new URL('../../../shared/conformance', import.meta.url).pathname

/** The path of something in the corpus, when the corpus is there. */
export function inCorpus(...parts: string[]): string | undefined {
  const path = join(FOLDER, ...parts)
  return existsSync(path) ? path : undefined
}

export const readStatements = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { sql: string }).sql)
