/**
 * Random INSERT, UPDATE, DELETE and upserts against a model, on tables with every kind of index. After each statement every
 * index holds exactly the entries of the rows that are there, and conditions find through indexes what they find without.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entryPrefix, rowSpan } from '../../sql/access/keys.ts'
import { compileEnv } from '../../sql/executor/executor.ts'
import { ForeignQueue } from '../../sql/executor/modify-foreign.ts'
import type { Row, Value } from '../../sql/types/value.ts'
import { rowsOf } from '../../storage/engine/page.ts'
import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import type { Span, Txn } from '../../storage/kv/kv.ts'
import { type Database, failure, openDatabase, type Session, type TableDefinition } from '../access/fixture.ts'

const DEFINITION: TableDefinition = {
  columns: [
    ['a', 'int4'],
    ['b', 'int8'],
    ['c', 'text'],
    ['d', 'int4'],
    ['e', 'text', { generated: "c || '/' || d" }],
  ],
  indexes: [
    { name: 'u_b', keys: ['b'], unique: true },
    { name: 'i_cd', keys: ['c desc', 'd nulls first'] },
    { name: 'u_partial', keys: ['d', 'c'], unique: true, where: 'd > 2' },
    { name: 'i_expression', keys: ['(lower(c))', 'b desc'] },
    { name: 'u_nulls', keys: ['d', 'b'], unique: true, nullsNotDistinct: true },
    { name: 'i_generated', keys: ['e'] },
  ],
}

let database: Database
beforeAll(async () => {
  database = await openDatabase()
  database.table('with_key', {
    ...DEFINITION,
    primary: ['a'],
    indexes: DEFINITION.indexes!.map((index) => ({ ...index, name: `k${index.name}` })),
  })
  database.table('without', DEFINITION)
})
afterAll(() => database.close())

type Model = { a: number | null; b: number | null; c: string | null; d: number | null }[]
const small = fc.integer({ min: 0, max: 6 })
const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 4 })
const letter = fc.constantFrom('x', 'Y', 'y', 'zz')
const row = fc.record({
  a: fc.integer({ min: 0, max: 15 }),
  b: nullable(fc.integer({ min: 0, max: 12 })),
  c: nullable(letter),
  d: nullable(small),
})

type Step =
  | { readonly kind: 'insert'; readonly rows: Model; readonly conflict: '' | 'nothing' | 'update' }
  | { readonly kind: 'update'; readonly set: Partial<Model[0]>; readonly add: boolean; readonly where: string }
  | { readonly kind: 'delete'; readonly where: string }
const where = fc.oneof(
  small.map((n) => `a >= ${n}`),
  small.map((n) => `b = ${n}`),
  fc.tuple(letter, small).map(([c, n]) => `c = '${c}' and (d < ${n} or d is null)`),
  letter.map((c) => `lower(c) = '${c}'`),
  small.map((n) => `d = ${n}`),
  fc.array(small, { maxLength: 3 }).map((list) => `d = any('{${list.join()}}'::int4[])`),
  fc.constant('d is null and b is null'),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    rows: fc.array(row, { minLength: 1, maxLength: 4 }),
    conflict: fc.constantFrom('', 'nothing', 'update'),
  }),
  fc.record({
    kind: fc.constant('update' as const),
    set: fc.record({ b: nullable(small), c: nullable(letter), d: nullable(small) }, { requiredKeys: [] }),
    add: fc.boolean(),
    where,
  }),
  fc.record({ kind: fc.constant('delete' as const), where }),
)

const literal = (value: Value): string =>
  value === null ? 'null' : typeof value === 'string' ? `'${value}'` : String(value)

/** The statement's text; the model says nothing of whether it fails: the table does, and then must be as it was. */
function textOf(table: string, s: Step): string {
  if (s.kind === 'delete') return `delete from ${table} where ${s.where}`
  if (s.kind === 'update') {
    const parts = Object.entries(s.set).map(([name, value]) => `${name} = ${literal(value)}`)
    if (s.add) parts.push('a = a + 7')
    return `update ${table} set ${parts.length === 0 ? 'd = d' : parts.join(', ')} where ${s.where}`
  }
  const values = s.rows.map(({ a, b, c, d }) => `(${[a, b, c, d].map(literal).join(', ')})`).join(', ')
  const target = table === 'with_key' ? 'a' : 'b'
  const conflict =
    s.conflict === ''
      ? ''
      : s.conflict === 'nothing'
        ? ' on conflict do nothing'
        : ` on conflict (${target}) do update set c = excluded.c || ${table}.d, d = excluded.d`
  return `insert into ${table} (a, b, c, d) values ${values}${conflict}`
}

function stored(txn: Txn, span: Span): { key: Key; value: Buffer }[] {
  const scanner = txn.scan(span)
  const out: { key: Key; value: Buffer }[] = []
  for (let page = scanner.next(100); page !== undefined; page = scanner.next(100)) out.push(...rowsOf(page))
  scanner.close()
  return out
}

/** Every index has an entry for each row it should have, and no other. */
function checkIndexes(session: Session, table: string): void {
  const relation = database.relation(table)
  const x = session.execution()
  x.txn.beginStatement()
  const run = new ForeignQueue(x, compileEnv(database.catalog, 'often')).table(relation)
  const rows = stored(x.txn, rowSpan(database.catalog.databaseOid, relation)).map(({ key, value }) => ({
    key,
    row: run.writer.read(value, 0),
  }))
  for (const index of run.indexes) {
    const expected = rows.flatMap(({ key, row }) => {
      const entry = index.entry(row, key)
      return entry === undefined ? [] : [[entry, key]]
    })
    const found = stored(x.txn, prefixSpan(entryPrefix(database.catalog.databaseOid, index.writer.relation))).map(
      ({ key, value }) => [key, value.latin1Slice()],
    )
    expect(found, index.writer.relation.name).toEqual(expected.sort(([k], [l]) => (k! < l! ? -1 : 1)))
  }
  session.rollback()
}

/** In any order. */
const sorted = (rows: readonly Row[]): string[] => rows.map((each) => JSON.stringify(each)).sort()

describe.each(['with_key', 'without'])('%s', (table) => {
  it('keeps its indexes and finds through them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(where, { minLength: 3, maxLength: 3 }),
        async (steps, conditions) => {
          const session = database.session()
          await session.run(`delete from ${table}`)
          for (const each of steps) {
            const before = sorted(await session.run(`select * from ${table}`))
            const failed = await failure(session.run(textOf(table, each)))
            const after = sorted(await session.run(`select * from ${table}`))
            if (failed !== 'no error') {
              expect(failed).toMatch(/^(23505|21000|23502)/)
              expect(after).toEqual(before)
            }
            checkIndexes(session, table)
          }
          const all = await session.run(`select * from ${table}`)
          expect(new Set(all.map(([, b]) => b).filter((b) => b !== null)).size).toBe(
            all.filter(([, b]) => b !== null).length,
          )
          for (const each of all)
            expect(each[4]).toBe(each[2] === null || each[3] === null ? null : `${each[2]}/${each[3]}`)
          for (const condition of conditions) {
            // "+ 0" and "|| ''" keep the planner from using an index.
            const plain = condition
              .replaceAll(/\b([abd])\b(?= [<>=])/g, '($1 + 0)')
              .replaceAll(/\bc\b(?= =)/g, "(c || '')")
              .replaceAll('lower(c)', "(lower(c) || '')")
            const [through, without] = [
              `select * from ${table} where ${condition}`,
              `select * from ${table} where ${plain}`,
            ]
            expect(sorted(await session.run(through))).toEqual(sorted(await session.run(without)))
            expect(sorted(await session.run(through, [], 'often'))).toEqual(
              sorted(await session.run(without, [], 'often')),
            )
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
