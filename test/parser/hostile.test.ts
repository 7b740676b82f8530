/**
 * Statements nested so deeply that the parser's JSON writer overflows its stack inside C frames: each answers 54001, and
 * what is parsed between them is right, however many there were (design: an instance that failed is never used again).
 */
import { expect, test } from 'vitest'
import { parse } from '../../sql/parser/parser.ts'
import type { SqlError } from '../../sql/types/error.ts'

const DEEP = 10_000
const HOSTILE = [
  `select ${'1+'.repeat(DEEP)}1`,
  `select ${'('.repeat(DEEP)}1${')'.repeat(DEEP)}`,
  `select ${'not '.repeat(DEEP)}true`,
  `select ${'- '.repeat(DEEP)}1`,
  `select * from ${'(select * from '.repeat(4000)}t${') x'.repeat(4000)}`,
  `select ${'case when true then '.repeat(6000)}1${' end'.repeat(6000)}`,
]

async function codeOf(sql: string): Promise<string> {
  try {
    await parse(sql)
    return 'parsed'
  } catch (error) {
    return (error as SqlError).code
  }
}

test('a plain tree is the same before and after 2,000 hostile statements, and memory stays', async () => {
  const sane = 'select a, 1+2 from t where b = $1 order by c desc'
  const expected = JSON.stringify(await parse(sane))
  const codes = new Set<string>()
  let before = 0
  for (let i = 0; i < 2000; i++) {
    codes.add(await codeOf(HOSTILE[i % HOSTILE.length]!))
    if (i % 10 === 0) expect(JSON.stringify(await parse(sane))).toBe(expected)
    if (i === 500) before = process.memoryUsage().rss
  }
  expect([...codes].filter((code) => code !== '54001' && code !== 'parsed' && code !== '42601')).toEqual([])
  expect(codes).toContain('54001')
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024)
}, 60_000)

test('statements that come while an instance is replaced wait for the new one', async () => {
  const answers = await Promise.all([
    codeOf(HOSTILE[0]!),
    codeOf(HOSTILE[0]!),
    codeOf('selec 1'),
    codeOf('select 1'),
    codeOf(HOSTILE[0]!),
    codeOf('select 2'),
  ])
  expect(answers).toEqual(['54001', '54001', '42601', 'parsed', '54001', 'parsed'])
})
