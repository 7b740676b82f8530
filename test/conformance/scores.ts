/**
 * What passed and what once passed. `passing/SUITE.txt` lists, a line a file, the numbers of the blocks that passed when it
 * was last written; it may only grow. SCORES.md shows the counts.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Grade } from './blocks.ts'

export interface FileScore {
  readonly file: string
  /** By the number of the block; a block that is not scored is missing. */
  readonly grades: ReadonlyMap<number, Grade>
}

const passingFile = (suite: string) => new URL(`passing/${suite}.txt`, import.meta.url).pathname
const SCORES = new URL('SCORES.md', import.meta.url).pathname

/** Keeps the results. Returns the blocks that passed before and do not pass now, as 'file: numbers'. */
export function keepScores(suite: string, title: string, scores: readonly FileScore[]): string[] {
  const before = readPassing(suite)
  const after = new Map(before)
  const lost: string[] = []
  for (const { file, grades } of scores) {
    const passing = new Set([...grades].filter(([, g]) => g !== 'failed').map(([number]) => number))
    const missing = [...(before.get(file) ?? [])].filter((number) => !passing.has(number))
    if (missing.length > 0) lost.push(`${file}: ${ranges(missing)}`)
    after.set(file, new Set([...(before.get(file) ?? []), ...passing]))
  }
  mkdirSync(new URL('passing/', import.meta.url), { recursive: true })
  const lines = [...after]
    .filter(([, numbers]) => numbers.size > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, numbers]) => `${file}: ${ranges([...numbers])}\n`)
  writeFileSync(passingFile(suite), lines.join(''))
  writeScores(suite, title, scores)
  return lost
}

function readPassing(suite: string): Map<string, Set<number>> {
  if (!existsSync(passingFile(suite))) return new Map()
  return new Map(
    readFileSync(passingFile(suite), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [file = '', list = ''] = line.split(': ')
        const numbers = list.split(',').flatMap((part) => {
          const [first = 0, last = first] = part.split('-').map(Number)
          return Array.from({ length: last - first + 1 }, (_, i) => first + i)
        })
        return [file, new Set(numbers)]
      }),
  )
}

/** 1-3,7 */
function ranges(numbers: readonly number[]): string {
  const sorted = numbers.toSorted((a, b) => a - b)
  const parts: string[] = []
  for (let i = 0; i < sorted.length; ) {
    let end = i
    while (sorted[end + 1] === sorted[end]! + 1) end++
    parts.push(end === i ? `${sorted[i]}` : `${sorted[i]}-${sorted[end]}`)
    i = end + 1
  }
  return parts.join(',')
}

export function count(scores: readonly FileScore[]): Record<Grade | 'all', number> {
  const counts = { exact: 0, semantic: 0, failed: 0, all: 0 }
  for (const { grades } of scores) {
    for (const g of grades.values()) {
      counts[g]++
      counts.all++
    }
  }
  return counts
}

const HEAD = `# Conformance

What others wrote, run here: blocks whose answer is PostgreSQL 15's to the byte (exact), blocks with its rows and SQLSTATEs
(semantic), and the rest. \`npx tsx test/conformance/run.ts SUITE\` writes a section anew; \`passing/\` lists the blocks that pass.
`

/** A section of SCORES.md for each suite; the others stay as they are. A run of some files changes only their lines. */
function writeScores(suite: string, title: string, scores: readonly FileScore[]): void {
  const text = existsSync(SCORES) ? readFileSync(SCORES, 'utf8') : HEAD
  const sections = new Map(
    text
      .split(/^(?=## )/m)
      .slice(1)
      .map((part) => [/^## (\S+)/.exec(part)![1]!, part]),
  )
  const rows = new Map(
    [...(sections.get(suite) ?? '').matchAll(/^\| (\S+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$/gm)].map((match) => [
      match[1]!,
      match.slice(2).map(Number),
    ]),
  )
  for (const score of scores) {
    const { all, exact, semantic, failed } = count([score])
    rows.set(score.file, [all, exact, semantic, failed])
  }
  const sums = [0, 1, 2, 3].map((column) => [...rows.values()].reduce((sum, row) => sum + row[column]!, 0))
  const percent = sums[0] === 0 ? '0' : (((sums[1]! + sums[2]!) * 100) / sums[0]!).toFixed(1)
  sections.set(
    suite,
    [
      `## ${suite}`,
      '',
      `${title}. ${new Date().toISOString().slice(0, 10)}: ${percent} % of ${sums[0]} pass, ${sums[1]} exactly.`,
      '',
      '| file | blocks | exact | semantic | failed |',
      '| --- | ---: | ---: | ---: | ---: |',
      ...[...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, row]) => `| ${file} | ${row.join(' | ')} |`),
      '',
      '',
    ].join('\n'),
  )
  writeFileSync(
    SCORES,
    `${[HEAD, ...[...sections].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part)].join('\n').trimEnd()}\n`,
  )
}
