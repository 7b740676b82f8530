/** Built-in rows: they refer to each other, types can hold them, look-ups find what a scan finds; rows of descriptors. */
import { beforeAll, describe, expect, test } from 'vitest'
import { builtinCatalog } from '../../sql/catalog/bootstrap.ts'
import type { RelationRow, VirtualContext } from '../../sql/catalog/catalog.ts'
import { openCatalogStore } from '../../sql/catalog/store.ts'
import { dataTable, decodeRow, fields } from '../../sql/catalog/tsv.ts'
import type { CatalogView } from '../../sql/catalog/view.ts'
import { ArrayValue, type Value } from '../../sql/types/value.ts'
import { oid } from '../../storage/keys/brand.ts'
import { begin, column, DATABASE, memoryKv, OWNER, PUBLIC, registerEverything, table } from './support.ts'

const PG_CATALOG = oid(11)
const catalog = builtinCatalog()
const context: VirtualContext = { sequenceState: () => ({ value: 1, called: false }) }
beforeAll(registerEverything)

type Record_ = Readonly<Record<string, Value>>
function rows(view: CatalogView, name: string, where: Record_ = {}): Record_[] {
  const relation = view.relationByName(PG_CATALOG, name)!
  const all = [...view.virtualRows(relation.oid, context)].map((row) =>
    Object.fromEntries(relation.columns.map((each, i) => [each.name, row[i]!])),
  )
  return all.filter((row) => Object.entries(where).every(([key, value]) => row[key] === value))
}

describe('the data files', () => {
  const cases: readonly (readonly [file: string, column: string, target: string])[] = [
    ['pg_proc', 'prorettype', 'pg_type'],
    ['pg_proc', 'pronamespace', 'pg_namespace'],
    ['pg_proc', 'prolang', 'pg_language'],
    ['pg_type', 'typarray', 'pg_type'],
    ['pg_type', 'typelem', 'pg_type'],
    ['pg_type', 'typinput', 'pg_proc'],
    ['pg_type', 'typrelid', 'pg_class'],
    ['pg_operator', 'oprleft', 'pg_type'],
    ['pg_operator', 'oprright', 'pg_type'],
    ['pg_operator', 'oprcode', 'pg_proc'],
    ['pg_operator', 'oprcom', 'pg_operator'],
    ['pg_operator', 'oprnegate', 'pg_operator'],
    ['pg_cast', 'castsource', 'pg_type'],
    ['pg_cast', 'casttarget', 'pg_type'],
    ['pg_cast', 'castfunc', 'pg_proc'],
    ['pg_aggregate', 'aggfnoid', 'pg_proc'],
    ['pg_aggregate', 'aggtransfn', 'pg_proc'],
    ['pg_opclass', 'opcfamily', 'pg_opfamily'],
    ['pg_opclass', 'opcintype', 'pg_type'],
    ['pg_opclass', 'opcmethod', 'pg_am'],
    ['pg_amop', 'amopopr', 'pg_operator'],
    ['pg_amop', 'amopfamily', 'pg_opfamily'],
    ['pg_amproc', 'amproc', 'pg_proc'],
    ['pg_attribute', 'attrelid', 'pg_class'],
    ['pg_attribute', 'atttypid', 'pg_type'],
    ['pg_index', 'indexrelid', 'pg_class'],
    ['pg_constraint', 'conindid', 'pg_class'],
    ['pg_rewrite', 'ev_class', 'pg_class'],
  ]
  test.each(cases)('%s.%s refers to %s', (file, name, target) => {
    const known = new Set(dataTable(target).lines.map((line) => fields(line)[0]))
    const from = dataTable(file)
    const at = from.columns.indexOf(name)
    for (const line of from.lines) {
      const value = fields(line)[at]!
      if (value !== '0') expect(known.has(value), `${file}: ${line}`).toBe(true)
    }
  })

  test('every column of a system table has a type that can be shown', () => {
    for (const relation of catalog.relations())
      for (const each of relation.columns) expect(catalog.type(each.type).oid).toBe(each.type)
  })

  test('every value of every system table can be shown', () => {
    const types = {
      type: (wanted: never) => catalog.type(wanted),
      settings: { timeZone: 'UTC' },
      transactionTimestamp: 0,
      names: undefined,
    } as never
    for (const relation of catalog.relations()) {
      if (relation.kind !== 'r') continue
      for (const row of catalog.virtualRows(relation.oid, context)) {
        expect(row.length).toBe(relation.columns.length)
        row.forEach((value, i) => {
          if (value !== null) expect(typeof catalog.type(relation.columns[i]!.type).output(value, types)).toBe('string')
        })
      }
    }
  })

  test('pg_class and pg_attribute are the recorded ones', () => {
    for (const name of ['pg_class', 'pg_attribute']) {
      const data = dataTable(name)
      const ours = [...catalog.virtualRows(catalog.relationByName(PG_CATALOG, name)!.oid, context)]
      expect(ours).toEqual(data.lines.map((line) => decodeRow(data, line)))
    }
  })

  test('a look-up finds what a scan finds', () => {
    for (const [name, columnName, value] of [
      ['pg_class', 'oid', 1259],
      ['pg_class', 'relname', 'pg_type'],
      ['pg_attribute', 'attrelid', 1247],
      ['pg_proc', 'proname', 'lower'],
      ['pg_type', 'oid', 5],
    ] as const) {
      const relation = catalog.relationByName(PG_CATALOG, name)!
      const at = relation.columns.find((each) => each.name === columnName)!.number
      const scanned = [...catalog.virtualRows(relation.oid, context)].filter((row) => row[at - 1] === value)
      expect([...catalog.virtualRows(relation.oid, context, { column: at, value })]).toEqual(scanned)
    }
  })
})

describe('look-ups of built-in objects', () => {
  test.each([
    ['int4', 'int4_ops'],
    ['varchar', 'text_ops'],
    ['text', 'text_ops'],
    ['_int4', 'array_ops'],
    ['bpchar', 'bpchar_ops'],
    ['regclass', 'oid_ops'],
    ['name', 'name_ops'],
    ['vector', 'vector_ops'],
    ['jsonb', 'jsonb_ops'],
    ['record', 'record_ops'],
    ['pg_class', 'record_ops'],
    ['cidr', 'network_ops'],
    ['int4range', 'range_ops'],
  ])('%s is ordered by %s', (type, opclass) => {
    const order = catalog.btree(catalog.typeByName(PG_CATALOG, type)!.oid)!
    const name = catalog.opclass(order.opclass)!.name
    expect(name === 'network_ops' ? name : name.replace('inet_ops', 'network_ops')).toBe(opclass)
    expect([order.lt, order.le, order.eq, order.ge, order.gt].map((each) => catalog.operator(each)!.name)).toEqual([
      '<',
      '<=',
      '=',
      '>=',
      '>',
    ])
  })

  test.each(['json', 'point', 'xml'])('%s has no order', (type) =>
    expect(catalog.btree(catalog.typeByName(PG_CATALOG, type)!.oid)).toBe(undefined),
  )

  test('aggregates have signatures', () => {
    const signatures = [...catalog.functions()].flatMap((row) => catalog.aggregate(row.oid)?.signature ?? [])
    for (const each of ['sum(int4)', 'count()', 'count(any)', 'string_agg(text,text)', 'avg(vector)'])
      expect(signatures).toContain(each)
  })

  test('the domains of information_schema point at their recorded checks', () => {
    const checks = new Map(
      dataTable('pg_constraint')
        .lines.map((line) => fields(line))
        .map((row) => [Number(row[0]), row[1]!]),
    )
    for (const type of catalog.types())
      for (const check of type.domain?.checks ?? []) expect(checks.get(check.oid)).toBe(check.name)
  })
})

describe('rows of descriptors', async () => {
  registerEverything()
  const kv = await memoryKv()
  const editor = (await openCatalogStore(kv)).edit(DATABASE, begin(kv))
  const INT4 = oid(23)
  const index = (options: Partial<RelationRow> & Pick<RelationRow, 'index'>): RelationRow =>
    table(oid(20010), 'p_pkey', [], { kind: 'i', ...options })
  editor.put(
    'relation',
    table(
      oid(20001),
      'p',
      [
        column(1, 'id', 23, { notNull: true, identity: 'always' }),
        column(2, 's', 25, { default: { kind: 'const', value: 'x', type: oid(25), typmod: -1 } }),
        column(3, 'gone', 0, { dropped: true }),
      ],
      {
        rowType: oid(20002),
        storageId: 7,
        indexes: [oid(20010)],
        acl: ['10=arwdDxt/10', '=r/10'],
        constraints: [
          {
            oid: oid(20011),
            name: 'p_pkey',
            type: 'p',
            columns: [1],
            index: oid(20010),
            deferrable: false,
            initiallyDeferred: false,
            validated: true,
          },
        ],
      },
    ),
  ) // prettier-ignore
  editor.put(
    'relation',
    index({
      index: {
        table: oid(20001),
        method: 'btree',
        include: [],
        unique: true,
        nullsNotDistinct: false,
        primary: true,
        valid: true,
        clustered: true,
        immediate: true,
        keys: [
          {
            column: 1,
            type: INT4,
            typmod: -1,
            opclass: oid(1978),
            collation: oid(0),
            descending: false,
            nullsFirst: false,
          },
        ],
      },
    }),
  ) // prettier-ignore

  test('pg_class', () => {
    const [row] = rows(editor, 'pg_class', { relname: 'p' })
    expect(row).toMatchObject({
      oid: 20001,
      relnamespace: PUBLIC,
      relam: 2,
      relfilenode: 7,
      relkind: 'r',
      relnatts: 3,
      relhasindex: true,
      reltuples: -1,
      relowner: OWNER,
    })
    expect(row!['relacl']).toEqual(ArrayValue.of(['postgres=arwdDxt/postgres', '=r/postgres']))
    expect(rows(editor, 'pg_class', { relname: 'p_pkey' })[0]).toMatchObject({
      relam: 403,
      relkind: 'i',
      relnatts: 1,
      reltuples: 0,
    })
  })
  test('pg_attribute', () => {
    const found = rows(editor, 'pg_attribute', { attrelid: 20001 })
    expect(found.map((row) => [row['attnum'], row['attname']])).toEqual([
      [-6, 'tableoid'],
      [-5, 'cmax'],
      [-4, 'xmax'],
      [-3, 'cmin'],
      [-2, 'xmin'],
      [-1, 'ctid'],
      [1, 'id'],
      [2, 's'],
      [3, '........pg.dropped.3........'],
    ]) // prettier-ignore
    expect(found[6]).toMatchObject({ attlen: 4, attnotnull: true, attidentity: 'a', atthasdef: false })
    expect(rows(editor, 'pg_attribute', { attrelid: 20010 }).map((row) => row['attname'])).toEqual(['id'])
  })
  test('pg_attrdef, pg_index, pg_constraint, pg_depend', () => {
    expect(rows(editor, 'pg_attrdef')).toMatchObject([{ adrelid: 20001, adnum: 2, adbin: "'x'::text" }])
    expect(rows(editor, 'pg_index', { indrelid: 20001 })).toMatchObject([
      { indexrelid: 20010, indisprimary: true, indkey: new ArrayValue([1], [1], [0]) },
    ])
    expect(rows(editor, 'pg_constraint', { conrelid: 20001 })).toMatchObject([
      { conname: 'p_pkey', contype: 'p', conindid: 20010, conkey: ArrayValue.of([1]) },
    ])
    expect(rows(editor, 'pg_depend', { objid: 20010 })).toMatchObject([
      { refclassid: 2606, refobjid: 20011, deptype: 'i' },
    ])
  })
  test('no column that PostgreSQL never leaves empty is NULL', () => {
    for (const name of [
      'pg_class',
      'pg_attribute',
      'pg_index',
      'pg_constraint',
      'pg_attrdef',
      'pg_depend',
      'pg_namespace',
      'pg_authid',
      'pg_database',
    ]) {
      const relation = editor.relationByName(PG_CATALOG, name)!
      for (const row of editor.virtualRows(relation.oid, context)) {
        for (const each of relation.columns)
          if (each.notNull) expect(row[each.number - 1], `${name}.${each.name}`).not.toBe(null)
      }
    }
  })
  test('a changed privilege of a system table shows in its own row', () => {
    const mark = editor.mark()
    const row = editor.relationByName(PG_CATALOG, 'pg_authid')!
    const before = rows(editor, 'pg_class').length
    editor.put('relation', { ...row, acl: ['=r/10'] })
    expect(rows(editor, 'pg_class', { relname: 'pg_authid' })).toMatchObject([
      { relkind: 'r', relacl: ArrayValue.of(['=r/postgres']) },
    ])
    expect(rows(editor, 'pg_class').length).toBe(before)
    editor.undo(mark)
  })
})

test('a catalog is ready at once', () => {
  const start = performance.now()
  builtinCatalog().functionsByName('lower')
  expect(performance.now() - start).toBeLessThan(500)
})
