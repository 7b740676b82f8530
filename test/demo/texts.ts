/** Real sentences that are at hand everywhere: those of this repository's documents and of its dependencies' READMEs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Sentence {
  /** The package it is from; `alopex` for the repository's own. */
  readonly source: string
  readonly text: string
}

const ROOT = new URL('../..', import.meta.url).pathname

export function readSentences(most: number): Sentence[] {
  const files: [source: string, path: string][] = []
  for (const folder of ['.', 'server', 'sql', 'storage', 'replication', 'cluster-cli', 'test']) {
    files.push(['alopex', join(ROOT, folder, 'README.md')])
  }
  files.push(['alopex', join(ROOT, 'CHANGELOG.md')])
  const modules = join(ROOT, 'node_modules')
  for (const name of packages(modules)) files.push([name, join(modules, name, 'README.md')])

  const sentences: Sentence[] = []
  const seen = new Set<string>()
  for (const [source, path] of files) {
    if (!existsSync(path)) continue
    for (const text of split(readFileSync(path, 'utf8'))) {
      if (seen.has(text)) continue
      seen.add(text)
      sentences.push({ source, text })
      if (sentences.length === most) return sentences
    }
  }
  return sentences
}

function packages(modules: string): string[] {
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`) : [name],
    )
}

/** Prose only: code, tables, lists of links and badges are left out. */
function split(markdown: string): string[] {
  return markdown
    .replaceAll(/```[\s\S]*?```/g, '\n\n')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[*_`]/g, '')
    .split(/\n\s*\n|\n\s*[-+#>|]/)
    .flatMap((paragraph) => paragraph.replaceAll(/\s+/g, ' ').split(/(?<=[.!?]) (?=[A-Z])/))
    .map((text) => text.trim())
    .filter((text) => /^[A-Z].{30,400}[.!?]$/.test(text) && (text.match(/ \p{L}+/gu)?.length ?? 0) >= 5)
}
