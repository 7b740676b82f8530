/**
 * A simple query with its literals lifted out answers as the same query with them in place: rows, columns, errors and
 * their positions. A comment at the end keeps a statement from being lifted and moves nothing.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { shapeOf } from '../../sql/session/lift.ts'
import type { Field, Session, Sink } from '../../sql/session/session.ts'
import type { SqlError } from '../../sql/types/error.ts'
import { type Embedded, openEmbedded } from './embedded.ts'

let embedded: Embedded
let session: Session
beforeAll(async () => {
  embedded = await openEmbedded()
  session = await embedded.session()
  for (const sql of [
    `create type mood as enum ('sad', 'ok', 'happy')`,
    `create table t (a int primary key, b bigint, s text, v varchar(5), n numeric(6,2), f float8, d date, ts timestamptz,
       e mood, j jsonb, u uuid, o boolean, sm smallint, c char(4), arr int[])`,
    `insert into t select g, g * 10, 's' || g % 7, 'v' || g % 5, g / 4.0, g / 8.0, date '2020-01-01' + g, timestamptz '2020-01-01 00:00Z' + g * interval '1 hour',
       (array['sad', 'ok', 'happy'])[g % 3 + 1]::mood, jsonb_build_object('k', g % 3), md5(g::text)::uuid, g % 2 = 0, g, 'c' || g % 3, array[g, g % 3] from generate_series(1, 60) g`,
    'create index on t (s)',
    'create index on t (b)',
    'create index on t (d)',
    'create table part (a int, s text)',
    `create index on part (a) where s = 'x'`,
    `insert into part select g, case when g % 3 = 0 then 'x' else 'y' end from generate_series(1, 50) g`,
    'create table none (a int, s text)',
  ]) {
    const answer = await embedded.ask(sql)
    if (answer.includes('ERROR')) throw new Error(`${sql}: ${answer}`)
  }
})
afterAll(() => embedded.close())

async function answer(sql: string): Promise<string> {
  const lines: string[] = []
  let fields: readonly Field[] = []
  const refuse = () => {
    throw new Error('not asked for')
  }
  const sink: Sink = {
    fields: (given) => {
      fields = given
      lines.push(given.map((field) => `${field.name}:${field.typeOid}:${field.typmod}:${field.tableOid}`).join(' '))
    },
    row: (row) =>
      lines.push(
        row.map((value, i) => (value === null ? '∅' : fields[i]!.type.output(value, session.typeContext))).join('|'),
      ),
    flow: () => undefined,
    commandComplete: (tag) => lines.push(tag),
    emptyQuery: () => lines.push('empty'),
    portalSuspended: refuse,
    notice: ({ message }) => lines.push(message),
    parameterStatus: () => {},
    notification: () => {},
    copyIn: refuse,
    copyOut: refuse,
    copyData: refuse,
    copyDone: refuse,
  }
  try {
    await session.query(sql, sink)
  } catch (thrown) {
    const { code, message, fields: more } = thrown as SqlError
    lines.push(`${code} ${message} at ${more?.position} ${more?.detail ?? ''} ${more?.hint ?? ''}`)
  }
  return lines.join('\n')
}

const rolledBack = async (sql: string): Promise<string> => {
  await session.query('begin', quiet)
  const text = await answer(sql)
  await session.query('rollback', quiet)
  return text
}
const quiet = { commandComplete: () => {} } as unknown as Sink

async function same(sql: string): Promise<void> {
  const change = /^\s*(insert|update|delete|with)/i.test(sql)
  const ask = change ? rolledBack : answer
  const plain = await ask(`${sql} /**/`)
  expect(await ask(sql), sql).toBe(plain)
  // Once more, from the cache.
  expect(await ask(sql), sql).toBe(plain)
}

const COLUMNS = [
  'a',
  'b',
  's',
  'v',
  'n',
  'f',
  'd',
  'ts',
  'e',
  'j',
  'u',
  'o',
  'sm',
  'c',
  'arr',
  'a + 1',
  'lower(s)',
  'b % 3',
  `j ->> 'k'`,
  'arr[1]',
  't.a',
  'count(*)',
]
const LITERALS = [
  '0',
  '1',
  '7',
  '42',
  '60',
  '1000000',
  '2147483647',
  '2147483648',
  '9223372036854775808',
  '-1',
  '- 5',
  '+3',
  '007',
  '1.5',
  '1e3',
  '.5',
  'null',
  'true',
  `''`,
  `'1'`,
  `'7'`,
  `'s3'`,
  `'v1'`,
  `'it''s'`,
  `'longer than five'`,
  `'2020-02-01'`,
  `'2020-02-01 10:00'`,
  `'2020-01-03 04:00:00+00'`,
  `'yesterday'`,
  `'infinity'`,
  `'happy'`,
  `'nope'`,
  `'{"k": 1}'`,
  `'{1,1}'`,
  `'{}'`,
  `'cfcd208495d565ef66e7dff9f98764da'`,
  `'c4ca4238-a0b9-2382-0dcc-509a6f75849b'`,
  `'t'`,
  `'off'`,
  `'c1'`,
  `'c1  '`,
  `e'a\\tb'`,
  `E'\\'x'`,
  `U&'\\0061'`,
  `$$x$$`,
  `'a' 'b'`,
  `'s'\n'3'`,
  `'7'::int`,
  `int '7'`,
  `date '2020-02-01'`,
  `b'101'`,
  `x'1F'`,
  `'é'`,
  `N'x'`,
  `1 + 1`,
  `7 / 0`,
  `2147483647 + 1`,
  `'2' || '3'`,
  `'%'`,
  `'?s'`,
  `5 % 3`,
] // prettier-ignore
const OPERATORS = ['=', '<>', '!=', '<', '<=', '>', '>=', 'is distinct from', 'like', '+', '||', '@>', '?']

const literal = fc.constantFrom(...LITERALS)
const column = fc.constantFrom(...COLUMNS)
const condition = fc.letrec<{ one: string; all: string }>((tie) => ({
  one: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(column, fc.constantFrom(...OPERATORS), literal).map(([c, o, l]) => `${c} ${o} ${l}`),
    },
    fc.tuple(literal, fc.constantFrom(...OPERATORS), column).map(([l, o, c]) => `${l} ${o} ${c}`),
    fc
      .tuple(column, fc.constantFrom('in', 'not in'), fc.array(literal, { minLength: 1, maxLength: 4 }))
      .map(([c, o, l]) => `${c} ${o} (${l.join(', ')})`),
    fc.tuple(column, literal, literal).map(([c, x, y]) => `${c} between ${x} and ${y}`),
    fc.tuple(column, literal).map(([c, x]) => `${c} = any (${x})`),
    fc.tuple(literal, literal).map(([x, y]) => `${x} = ${y}`),
    fc.tuple(column, column, literal).map(([x, y, l]) => `(${x}, ${y}) = (${l}, ${l})`),
    fc.tuple(column, literal).map(([c, l]) => `exists (select from part where part.s = ${l} and part.a = ${c})`),
    fc.tuple(column, literal).map(([c, l]) => `${c} = (select max(a) from part where a < ${l})`),
    fc.tuple(column, literal).map(([c, l]) => `case when ${c} = ${l} then 1 else 2 end = 1`),
    fc.tuple(column, literal).map(([c, l]) => `coalesce(${c}, ${l}) = ${l}`),
    fc.tuple(column, literal).map(([c, l]) => `nullif(${c}, ${l}) is null`),
  ),
  all: fc.oneof(
    { depthSize: 'small' },
    tie('one'),
    fc.tuple(tie('all'), fc.constantFrom('and', 'or'), tie('all')).map(([x, o, y]) => `(${x}) ${o} ${y}`),
    tie('one').map((x) => `not (${x})`),
  ),
}))
const ASSIGNED = ['b', 's', 'v', 'n', 'f', 'd', 'ts', 'e', 'j', 'u', 'o', 'sm', 'c', 'arr']
const statement = fc.oneof(
  { weight: 3, arbitrary: condition.all.map((c) => `select a, s, n from t where ${c} order by a`) },
  condition.all.map((c) => `select count(*), min(ts) from t where ${c}`),
  fc
    .tuple(condition.all, literal)
    .map(
      ([c, l]) => `select b + 1, count(*) from t where ${c} group by b + 1 having count(*) = ${l} order by 1 limit 3;`,
    ),
  fc
    .tuple(condition.one, literal)
    .map(([c, l]) => `select t.a, part.s from t join part on part.a = t.a and part.s = ${l} where ${c} order by 1, 2`),
  fc.tuple(literal, literal, literal, literal).map(([w, x, y, z]) => `values (${w}, ${x}), (${y}, ${z})`),
  fc.tuple(literal, literal).map(([x, y]) => `select * from (values (${x}), (${y})) v (x) where x = ${x}`),
  fc
    .tuple(condition.one, fc.constantFrom(...ASSIGNED), literal)
    .map(([c, name, l]) => `update t set ${name} = ${l} where ${c} returning a, ${name}`),
  fc
    .tuple(fc.constantFrom(...ASSIGNED), literal, literal)
    .map(([name, x, y]) => `insert into t (a, ${name}) values (${x}, ${y}) returning *`),
  fc
    .tuple(fc.constantFrom(...ASSIGNED), literal, literal)
    .map(
      ([name, x, y]) =>
        `insert into t (a, ${name}) values (100, ${x}), (101, ${y}) on conflict (a) do update set ${name} = ${x} where t.a = ${y} returning a, ${name}`,
    ),
  condition.one.map((c) => `delete from t where ${c} returning a`),
  fc.tuple(literal, literal).map(([x, y]) => `select * from part where a = ${x} and s = ${y} order by a`),
  fc.tuple(literal, literal).map(([x, y]) => `select * from none where a = ${x} or s = ${y}`),
  fc.tuple(literal, literal).map(([x, y]) => `select ${x} as x, a = ${y} from t where a = 5`),
  fc
    .tuple(literal, literal)
    .map(([x, y]) => `select a from t where a = 5; select s from t where a = ${x} and s = ${y}`),
  fc
    .tuple(literal)
    .map(([x]) => `select (select count(*) from part where a = t.b + 1) from t where a = ${x} group by b + 1`),
)

describe('lifted literals', () => {
  test('any statement answers as with its literals in place', { timeout: 60_000 }, async () => {
    await fc.assert(fc.asyncProperty(statement, same), { numRuns: Number(process.env.RUNS ?? 600) })
  })

  test.each([
    `select * from t where s = 's'\n'3' and a = 3`,
    `select * from t where s='s3'and a=3`,
    `select * from t where a=3and s='s3'`,
    `select a from t where "s" = 's3' and "a" = 3`,
    `select a as "it's" from t where s = 's3'`,
    `select a as "x""'" from t where s = 's3' and a = 3`,
    `select a from t where j ? 'k' and a = 1`,
    `select a from t where a = 1 and s = 'a;b' ;  `,
    `select a from t where a = 1;;`,
    `select a from t where a = -1`,
    `select a from t where a = - 1 and b = 5 - 4`,
    `select a from t where a=1 -1`,
    `select a from t where a = 1 /* x = 2 */`,
    `select a from t where a = 1 -- and b = 2`,
    `select a from none where a = 1 / 0`,
    `select a from none where a = 2147483647 + 1`,
    `select a from none where a in (1, 2147483647 + 1)`,
    `select a from t where a = 1 and 1 = 0`,
    `update t set s = 'x' where a = 'y'`,
    `select 'x' from t where a = 1`,
    `select a from t where e = 'nope'`,
    `select a from t where u = 'nope'`,
    `select a from t where d = '2020-13-01'`,
    `insert into t (a, v) values (200, 'longer than five')`,
    `insert into t (a, sm) values (200, 70000)`,
    `insert into t (a, n) values (200, 1234567)`,
    `select * from t where a = 99999999999999999999`,
    `select * from t where a = $1`,
    `select * from t where s = '${'x'.repeat(5000)}'`,
    `select * from t where a in (${Array.from({ length: 70 }, (_, i) => i).join(', ')}) order by a`,
    `select b + 1 from t where a = 5 group by b + 1 order by b + 1`,
    `select distinct on (a + 1) a from t where a < 5 order by a + 1`,
    `select a from t where a between 3 and 5 order by 1 desc limit 2 offset 1`,
    `select a from t where a between symmetric 5 and 3 order by a`,
    `with x as (select a from t where a = 3) select * from x where a = 3`,
    `select a from t where (a = 3 or a = 4) and not a = 4 order by a`,
    `select a from t where ts = '2020-01-01 05:00' and d = 'today'`,
    `select a from t where arr = '{1,1}' or arr[1] = 2 order by a`,
    `select a from t where interval '1 hour' = '01:00' and a = 2`,
    `select a from t where bool 't' and a = 2`,
  ])('%s', same)

  test('session settings under which literals are read', async () => {
    for (const zone of ['UTC', 'America/New_York', 'Asia/Tokyo', 'UTC']) {
      await answer(`set timezone = '${zone}'`)
      await same(`select a, ts from t where ts = '2020-01-01 05:00' or ts = '2020-01-02 05:00+01' order by a`)
      await same(`select a, ts from t where ts between '2020-01-01 05:00' and '2020-01-01 07:00' order by a`)
      await same(`insert into t (a, ts) values (300, '2020-06-01 00:00') returning ts`)
    }
    for (const style of ['ISO, DMY', 'ISO, MDY']) {
      await answer(`set datestyle = '${style}'`)
      await same(`select a, d from t where d = '02/01/2020' or d = '01/02/2020' order by a`)
    }
  })

  test('one shape for texts that differ in literals alone', () => {
    expect(shapeOf(`select a from t where a = 17 and s = 'x'`)?.key).toBe(
      shapeOf(`select a from t where a = 4 and s = 'it''s'`)?.key,
    )
    expect(shapeOf(`select a from t where a = 17`)?.key).not.toBe(shapeOf(`select a from t where a = '17'`)?.key)
    // Nothing that stands in a text can look like a place of one.
    expect(shapeOf(`select * from t where bool ?s and a = 1`)?.key).not.toBe(
      shapeOf(`select * from t where bool 's' and a = 1`)?.key,
    )
  })
})
