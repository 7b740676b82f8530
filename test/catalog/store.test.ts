/** The catalog store over a real kv: bootstrap, editors, undo, publishing, rebasing, reopening. */
import { describe, expect, test } from 'vitest'
import { openCatalogStore } from '../../sql/catalog/store.ts'
import { oid } from '../../storage/keys/brand.ts'
import { begin, column, createTable, DATABASE, memoryKv, OWNER, PUBLIC, table } from './support.ts'

const open = async () => {
  const kv = await memoryKv()
  return { kv, store: await openCatalogStore(kv, { osUser: 'someone' }) }
}

describe('a new store', () => {
  test('has databases, superusers, predefined roles and schemas', async () => {
    const { store } = await open()
    const catalog = store.catalog(DATABASE)
    expect([...catalog.databases()].map((row) => row.name).sort()).toEqual([
      'alopex',
      'postgres',
      'template0',
      'template1',
    ])
    expect(catalog.databaseName).toBe('postgres')
    expect(catalog.role(OWNER)?.name).toBe('postgres')
    for (const name of ['postgres', 'alopex', 'someone']) expect(catalog.roleByName(name)?.superuser).toBe(true)
    expect(catalog.roleByName('pg_monitor')?.memberOf.map((each) => catalog.role(each.role)?.name)).toEqual([
      'pg_read_all_settings',
      'pg_read_all_stats',
      'pg_stat_scan_tables',
    ])
    expect(
      ['public', 'pg_catalog', 'information_schema', 'pg_toast'].map((name) => catalog.namespaceByName(name)?.name),
    ).not.toContain(undefined)
    expect(() => store.catalog(oid(99))).toThrow('database with OID 99 does not exist')
  })

  test('is not bootstrapped twice', async () => {
    const { kv } = await open()
    const again = await openCatalogStore(kv, { osUser: 'other' })
    expect(again.catalog(DATABASE).roleByName('other')).toBe(undefined)
  })
})

describe('an editor', () => {
  test('sees its own changes; others see them after publishing; a reopened store too', async () => {
    const { kv, store } = await open()
    const before = store.catalog(DATABASE)
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const row = createTable(editor, 't')
    expect(row.oid).toBeGreaterThanOrEqual(16384)
    expect(editor.relationByName(PUBLIC, 't')).toBe(row)
    expect(store.catalog(DATABASE).relationByName(PUBLIC, 't')).toBe(undefined)
    await txn.commit()
    store.publish(editor)
    expect(before.relationByName(PUBLIC, 't')).toBe(undefined)
    expect(store.catalog(DATABASE).relationByName(PUBLIC, 't')).toEqual(row)
    expect(store.catalog(DATABASE).version).toBeGreaterThan(before.version)
    expect(store.catalog(oid(6)).relationByName(PUBLIC, 't')).toBe(undefined)
    const reopened = await openCatalogStore(kv)
    expect(reopened.catalog(DATABASE).relationByName(PUBLIC, 't')).toEqual(row)
  })

  test('undoes changes after a mark', async () => {
    const { kv, store } = await open()
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const kept = createTable(editor, 'kept')
    const mark = editor.mark()
    const savepoint = txn.savepoint()
    const versions = [editor.version]
    createTable(editor, 'dropped')
    editor.put('relation', { ...kept, name: 'renamed' })
    versions.push(editor.version)
    editor.undo(mark)
    txn.rollbackTo(savepoint)
    versions.push(editor.version)
    expect(new Set(versions).size).toBe(3)
    expect(editor.relationByName(PUBLIC, 'kept')).toBe(kept)
    expect(editor.relationByName(PUBLIC, 'renamed')).toBe(undefined)
    expect(editor.relationByName(PUBLIC, 'dropped')).toBe(undefined)
    await txn.commit()
    store.publish(editor)
    const names = [...(await openCatalogStore(kv)).catalog(DATABASE).ownAll('relation')].map((row) => row.name)
    expect(names).toEqual(['kept'])
  })

  test('keeps its changes when another transaction publishes first', async () => {
    const { kv, store } = await open()
    const [a, b] = [begin(kv), begin(kv)]
    const [first, second] = [store.edit(DATABASE, a), store.edit(DATABASE, b)]
    createTable(first, 'one')
    createTable(second, 'two')
    await a.commit()
    store.publish(first)
    expect(second.relationByName(PUBLIC, 'one')).toBe(undefined)
    second.rebase()
    expect(second.relationByName(PUBLIC, 'one')?.name).toBe('one')
    await b.commit()
    store.publish(second)
    expect(['one', 'two'].map((name) => store.catalog(DATABASE).relationByName(PUBLIC, name)?.name)).toEqual([
      'one',
      'two',
    ])
  })

  test('refuses to overwrite what another transaction has changed since', async () => {
    const { kv, store } = await open()
    const setup = begin(kv)
    const editor = store.edit(DATABASE, setup)
    const row = createTable(editor, 't')
    await setup.commit()
    store.publish(editor)
    const [a, b] = [begin(kv), begin(kv)]
    const [first, second] = [store.edit(DATABASE, a), store.edit(DATABASE, b)]
    first.put('relation', { ...row, name: 'a' })
    expect(() => second.put('relation', { ...row, name: 'b' })).toThrow()
    await a.commit()
    store.publish(first)
    expect(() => second.put('relation', { ...row, name: 'b' })).toThrow(
      'could not serialize access due to concurrent update',
    )
    b.rollback()
  })

  test('refuses a name that exists, committed meanwhile or not', async () => {
    const { kv, store } = await open()
    const [a, b] = [begin(kv), begin(kv)]
    const [first, second] = [store.edit(DATABASE, a), store.edit(DATABASE, b)]
    createTable(first, 't')
    expect(() => createTable(second, 't')).toThrow()
    await a.commit()
    store.publish(first)
    expect(() => createTable(second, 't')).toThrow(
      'duplicate key value violates unique constraint "pg_class_relname_nsp_index"',
    )
    b.rollback()
  })

  test('takes an object’s comments and statistics away with it', async () => {
    const { kv, store } = await open()
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const row = createTable(editor, 't')
    const classOid = oid(1259)
    const comment = (text: string) =>
      editor.put('comment', { oid: editor.nextOid(), classOid, object: row.oid, subobject: 0, text })
    comment('one')
    comment('two')
    expect([...editor.comments()]).toHaveLength(1)
    expect(editor.comment(classOid, row.oid, 0)).toBe('two')
    editor.put('statistics', { oid: row.oid, rows: 5, bytes: 100, analyzedAt: 0, columns: [] })
    editor.remove('relation', row.oid)
    expect([...editor.comments()]).toHaveLength(0)
    expect(editor.statistics(row.oid)).toBe(undefined)
    txn.rollback()
  })

  test('hides a built-in comment', async () => {
    const { kv, store } = await open()
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const [classOid, lower] = [oid(1255), oid(870)]
    expect(editor.comment(classOid, lower, 0)).toBe('lowercase')
    editor.put('comment', { oid: editor.nextOid(), classOid, object: lower, subobject: 0, text: '' })
    expect(editor.comment(classOid, lower, 0)).toBe(undefined)
    txn.rollback()
  })
})

describe('shared objects', () => {
  test('are seen from every database', async () => {
    const { kv, store } = await open()
    const other = store.catalog(oid(6))
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const self = editor.nextOid()
    editor.put('role', { ...editor.role(OWNER)!, oid: self, name: 'joe', superuser: false })
    await txn.commit()
    store.publish(editor)
    expect(store.catalog(oid(6)).roleByName('joe')?.oid).toBe(self)
    expect(other.roleByName('joe')).toBe(undefined)
  })

  test('a database is made from its template and dropped', async () => {
    const { kv, store } = await open()
    const setup = begin(kv)
    const inTemplate = store.edit(oid(1), setup)
    createTable(inTemplate, 'from_template')
    await setup.commit()
    store.publish(inTemplate)
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const self = editor.nextOid()
    editor.put('database', { ...editor.database(DATABASE)!, oid: self, name: 'new' })
    store.copyDatabase(txn, oid(1), self)
    await txn.commit()
    store.publish(editor)
    expect(store.catalog(self).relationByName(PUBLIC, 'from_template')?.name).toBe('from_template')
    const drop = begin(kv)
    const dropper = store.edit(DATABASE, drop)
    dropper.remove('database', self)
    store.removeDatabase(drop, self)
    await drop.commit()
    store.publish(dropper)
    expect(() => store.catalog(self)).toThrow('does not exist')
  })
})

describe('foreign keys', () => {
  test('are found from the table they point at', async () => {
    const { kv, store } = await open()
    const txn = begin(kv)
    const editor = store.edit(DATABASE, txn)
    const parent = createTable(editor, 'parent')
    const constraint = {
      oid: editor.nextOid(),
      name: 'fk',
      type: 'f',
      columns: [1],
      deferrable: false,
      initiallyDeferred: false,
      validated: true,
      foreignKey: {
        table: parent.oid,
        columns: [1],
        onUpdate: 'no-action',
        onDelete: 'cascade',
        onDeleteColumns: [],
        match: 'simple',
        operators: [oid(96)],
      },
    } as const // prettier-ignore
    const mark = editor.mark()
    const child = table(editor.nextOid(), 'child', [column(1, 'p', 23)], { constraints: [constraint] })
    editor.put('relation', child)
    expect(editor.referencing(parent.oid)).toEqual([{ table: child, constraint }])
    editor.put('relation', { ...child, constraints: [] })
    expect(editor.referencing(parent.oid)).toEqual([])
    editor.undo(mark)
    expect(editor.referencing(parent.oid)).toEqual([])
    txn.rollback()
  })
})

test('oids are never given out twice, not even after reopening', async () => {
  const { kv, store } = await open()
  const seen = new Set<number>()
  for (let round = 0; round < 3; round++) {
    const editor = (round === 0 ? store : await openCatalogStore(kv)).edit(DATABASE, begin(kv))
    for (let i = 0; i < 100; i++) {
      const next = editor.nextOid()
      expect(seen.has(next)).toBe(false)
      seen.add(next)
    }
  }
})
