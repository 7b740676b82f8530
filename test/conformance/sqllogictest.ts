/**
 * SQLite's logic tests: records of a statement that must work or fail, or of a query with its values one a line, sorted as
 * it says, or the MD5 of them. (https://www.sqlite.org/sqllogictest)
 */
import { createHash } from 'node:crypto'
import pg from 'pg'
import type { Grade } from './blocks.ts'

type SqlRecord =
  | { readonly kind: 'statement'; readonly sql: string; readonly isError: boolean }
  | {
      readonly kind: 'query'
      readonly sql: string
      /** A letter a column: Text, Integer, Real. */
      readonly types: string
      readonly sort: 'nosort' | 'rowsort' | 'valuesort'
      readonly expected: readonly string[]
    }

const ENGINE = 'postgresql'

export function parseRecords(text: string): SqlRecord[] {
  const records: SqlRecord[] = []
  for (const part of text.replaceAll('\r', '').split(/\n\s*\n/)) {
    let lines = part.split('\n').filter((line) => !line.startsWith('#'))
    let isSkipped = false
    while (lines[0] !== undefined && /^(?:skipif|onlyif)\s/.test(lines[0])) {
      const [word, engine] = lines[0].split(/\s+/)
      if ((word === 'skipif') === (engine === ENGINE)) isSkipped = true
      lines = lines.slice(1)
    }
    const [head = '', ...body] = lines
    if (head.startsWith('halt') && !isSkipped) break
    if (isSkipped) continue
    const [kind, first = '', second = 'nosort'] = head.split(/\s+/)
    if (kind === 'statement') records.push({ kind, sql: body.join('\n'), isError: first === 'error' })
    else if (kind === 'query') {
      const line = body.indexOf('----')
      const sort = second === 'rowsort' || second === 'valuesort' ? second : 'nosort'
      const sql = (line < 0 ? body : body.slice(0, line)).join('\n')
      const expected = line < 0 ? [] : body.slice(line + 1).filter((text, i, all) => text !== '' || i < all.length - 1)
      records.push({ kind, sql, types: first, sort, expected })
    }
  }
  return records
}

export async function runRecords(client: pg.Client, records: readonly SqlRecord[]): Promise<Map<number, Grade>> {
  const grades = new Map<number, Grade>()
  for (const [i, record] of records.entries()) grades.set(i, (await passes(client, record)) ? 'exact' : 'failed')
  return grades
}

async function passes(client: pg.Client, record: SqlRecord): Promise<boolean> {
  let rows: readonly (readonly (string | null)[])[]
  try {
    const text = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig
    rows = (await client.query({ text: record.sql, rowMode: 'array', types: text })).rows
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    return record.kind === 'statement' && record.isError
  }
  if (record.kind === 'statement') return !record.isError
  let printed = rows.map((row) => row.map((value, column) => print(value, record.types[column] ?? 'T')))
  if (record.sort === 'rowsort') printed = printed.toSorted((a, b) => (a.join('\n') < b.join('\n') ? -1 : 1))
  const values = printed.flat()
  if (record.sort === 'valuesort') values.sort()
  const hashed = /^(\d+) values hashing to ([\da-f]{32})$/.exec(record.expected[0] ?? '')
  if (hashed === null) return values.join('\n') === record.expected.join('\n')
  const digest = createHash('md5')
    .update(values.map((value) => `${value}\n`).join(''))
    .digest('hex')
  return values.length === Number(hashed[1]) && digest === hashed[2]
}

function print(value: string | null, type: string): string {
  if (value === null) return 'NULL'
  if (value === '') return '(empty)'
  if (type === 'R') return Number(value).toFixed(3)
  if (type === 'I')
    return /^-?\d+$/.test(value) ? value : value === 't' ? '1' : value === 'f' ? '0' : String(Math.trunc(Number(value)))
  return value.replaceAll(/[^\x20-\x7e]/g, '@')
}
