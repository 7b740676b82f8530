/** What PostgreSQL 15 answered (recorded.txt) against ours: names of types, functions and operators, definitions, printed views. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type BindContext, bind } from '../../sql/binder/binder.ts'
import { builtinCatalog } from '../../sql/catalog/bootstrap.ts'
import type { CatalogCallContext } from '../../sql/catalog/call-context.ts'
import { queryText } from '../../sql/catalog/deparse.ts'
import { nameLookup } from '../../sql/catalog/lookup.ts'
import { openCatalogStore } from '../../sql/catalog/store.ts'
import { parse } from '../../sql/parser/parser.ts'
import { functionBodies } from '../../sql/types/function.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import type { RecordValue, Value } from '../../sql/types/value.ts'
import { oid } from '../../storage/keys/brand.ts'
import { QUERIES } from './queries.ts'
import { begin, column, DATABASE, memoryKv, OWNER, PUBLIC, registerEverything, table } from './support.ts'

type Row = readonly (string | number | boolean | null)[]
interface Recorded {
  readonly formatType: readonly Row[]
  readonly functions: readonly Row[]
  readonly operators: readonly Row[]
  readonly described: readonly Row[]
  readonly indexes: readonly Row[]
  readonly constraints: readonly Row[]
  readonly privileges: readonly Row[]
  readonly queries: Readonly<Record<string, readonly [string, string]>>
}
const recorded = JSON.parse(readFileSync(new URL('./recorded.txt', import.meta.url), 'utf8')) as Recorded

const catalog = builtinCatalog()
const scope = { catalog, searchPath: [oid(11), PUBLIC] }
const context = {
  ...scope,
  userOid: OWNER,
  type: (wanted: never) => catalog.type(wanted),
  settings: DEFAULT_SETTINGS,
  transactionTimestamp: 0,
  names: nameLookup(scope),
} as unknown as CatalogCallContext

function call(prosrc: string, ...args: Value[]): Value {
  const body = functionBodies.get(prosrc)
  if (body?.kind !== 'bound') throw new Error(`no bound body ${prosrc}`)
  return body.bind({ argTypes: [], argTypmods: [], returnType: oid(0), variadic: false, context })(...(args as never[]))
}

beforeAll(registerEverything)

/** All cases of a section at once: the difference is the report. */
function same(rows: readonly Row[], ours: (row: Row) => unknown): void {
  expect(rows.length).toBeGreaterThan(0)
  expect(rows.map(ours)).toEqual(rows)
}

test('format_type', () =>
  same(recorded.formatType, ([type, typmod]) => [type!, typmod!, call('format_type', type!, typmod!)]))

test('signatures of functions', () => {
  same(recorded.functions, ([self]) => [
    self!,
    call('pg_get_function_arguments', self!),
    call('pg_get_function_identity_arguments', self!),
    call('pg_get_function_result', self!),
    context.names!.functionName(oid(self as number), true),
    context.names!.functionName(oid(self as number), false),
  ])
})

test('every printed signature finds its function again', () => {
  for (const row of catalog.functions()) {
    const printed = context.names!.functionName(row.oid, true)!
    expect(context.names!.findFunction(printed, true), printed).toBe(row.oid)
  }
})

test('operators', () =>
  same(recorded.operators, ([self]) => [
    self!,
    context.names!.operatorName(oid(self as number), true),
    context.names!.operatorName(oid(self as number), false),
  ]))

test('every type’s printed name finds it again', () => {
  for (const row of catalog.types()) {
    const printed = context.names!.typeName(row.oid)!
    expect(context.names!.findType(printed).oid, printed).toBe(row.oid)
  }
})

test('pg_describe_object, pg_identify_object', () => {
  same(recorded.described, ([classOid, object, sub]) => {
    const identified = call('pg_identify_object', classOid!, object!, sub!) as RecordValue
    return [classOid, object, sub, call('pg_describe_object', classOid!, object!, sub!), ...identified.values]
  })
})

test('indexes of the system catalogs', () =>
  same(recorded.indexes, ([self]) => [
    self!,
    call('pg_get_indexdef', self!),
    call('pg_get_indexdef_ext', self!, 1, true),
  ]))
test('constraints of the system catalogs', () =>
  same(recorded.constraints, ([self]) => [self!, call('pg_get_constraintdef', self!)]))
test('has_table_privilege', () =>
  same(recorded.privileges, ([role, relation, privilege]) => [
    role!,
    relation!,
    privilege!,
    call('has_table_privilege_name_name', role!, relation!, privilege!),
  ]))

describe('views are printed back', async () => {
  const kv = await memoryKv()
  const store = await openCatalogStore(kv)
  const editor = store.edit(DATABASE, begin(kv))
  const n = (number: number, name: string, type: number, typmod = -1) => column(number, name, type, { typmod })
  editor.put(
    'relation',
    table(
      oid(20001),
      'p',
      [
        n(1, 'id', 23),
        n(2, 's', 25),
        n(3, 'n', 1700, 655366),
        n(4, 'v', 1043, 14),
        n(5, 'd', 1082),
        n(6, 'ts', 1184),
        n(7, 'arr', 1007),
        n(8, 'j', 3802),
        n(9, 'b', 16),
        n(10, 'f', 701),
        n(11, 'big', 20),
        n(12, 'c', 1042, 7),
      ],
      { rowType: oid(20002) },
    ),
  ) // prettier-ignore
  const rowType = (self: number, name: string, relation: number) => ({
    ...catalog.typeByName(oid(11), 'pg_class')!,
    oid: oid(self),
    name,
    namespace: PUBLIC,
    relation: oid(relation),
    array: oid(0),
  })
  editor.put('type', rowType(20002, 'p', 20001))
  editor.put(
    'relation',
    table(oid(20003), 'c', [n(1, 'id', 23), n(2, 'pid', 23), n(3, 'u', 25)], { rowType: oid(20004) }),
  )
  editor.put('type', rowType(20004, 'c', 20003))
  const names = { catalog: editor, searchPath: [oid(11), PUBLIC] }

  test.each(QUERIES)('%s', async (sql) => {
    const [parsed] = await parse(sql)
    const b: BindContext = {
      ...names,
      typeContext: {
        type: (wanted) => editor.type(wanted),
        settings: DEFAULT_SETTINGS,
        transactionTimestamp: 0,
        names: nameLookup(names),
      },
      source: sql,
      parameters: [],
      parametersFixed: true,
      dependsOnSettings: false,
      dependsOnClock: false,
      relationsUsed: new Set(),
      accesses: new Map(),
      viewAccesses: [],
      notice() {},
    }
    const query = bind(b, parsed!.node)
    const [normal, pretty] = recorded.queries[sql]!
    expect(`${queryText(names, query)};`).toBe(normal)
    expect(`${queryText(names, query, true)};`).toBe(pretty)
  })
})
