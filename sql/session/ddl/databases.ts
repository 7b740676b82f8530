/**
 * CREATE, ALTER and DROP DATABASE. A new one is a copy of its template: descriptors, rows, sequences. Outside of transaction
 * blocks only, as the copy is of what is committed.
 */
import type { Node } from '@pgsql/types'
import type { Key, Oid } from '../../../storage/keys/brand.ts'
import { databaseSpan, readVarint, sequenceKey, varint } from '../../../storage/keys/map.ts'
import { PAGE_HEADER_BYTES } from '../../../storage/kv/kv.ts'
import type { DatabaseRow } from '../../catalog/catalog.ts'
import { ownedBy } from '../../catalog/privileges.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { preventInBlock } from '../control.ts'
import { SequenceCache } from '../sequences.ts'
import {
  type Ddl,
  defineDdl,
  lockName,
  lockObject,
  notice,
  requireMember,
  requireOwner,
  requireRole,
  roleOf,
} from './context.ts'
import { changeSettings, requireDatabase } from './roles.ts'

const me = (ddl: Ddl) => ddl.editor.role(roleOf(ddl))!

interface Options {
  readonly change: { owner?: Oid; connectionLimit?: number; allowConnections?: boolean; isTemplate?: boolean }
  readonly template: string | undefined
}

function textOf(arg: Node | undefined): string {
  if (arg === undefined) return ''
  if ('String' in arg) return arg.String.sval ?? ''
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0)
  if ('Boolean' in arg) return arg.Boolean.boolval === true ? 'true' : 'false'
  if ('TypeName' in arg)
    return (arg.TypeName.names ?? []).map((each) => ('String' in each ? each.String.sval : '')).at(-1) ?? ''
  return ''
}
const truth = (text: string): boolean => ['true', 'on', 'yes', '1', 't'].includes(text.toLowerCase())

function optionsOf(ddl: Ddl, nodes: readonly Node[] | undefined): Options {
  const change: { owner?: Oid; connectionLimit?: number; allowConnections?: boolean; isTemplate?: boolean } = {}
  let template: string | undefined
  const seen = new Set<string>()
  for (const node of nodes ?? []) {
    if (!('DefElem' in node)) continue
    const { defname, arg } = node.DefElem
    if (seen.has(defname!)) throw sqlError('42601', 'conflicting or redundant options')
    seen.add(defname!)
    const text = textOf(arg)
    const isDefault = arg === undefined
    switch (defname) {
      case 'owner':
        if (!isDefault) change.owner = requireRole(ddl, text).oid
        break
      case 'template':
        if (!isDefault) template = text
        break
      case 'encoding':
        if (!isDefault && !['utf8', 'utf-8', 'unicode', '6'].includes(text.toLowerCase()))
          throw sqlError('0A000', `encoding "${text}" is not supported: databases are UTF8`)
        break
      case 'locale':
      case 'lc_collate':
      case 'lc_ctype':
        if (!isDefault && !/^(C|POSIX|[a-z]{2,3}_[A-Z]{2}(\.(utf-?8))?|C\.(utf-?8))$/i.test(text))
          throw sqlError('42809', `invalid locale name: "${text}"`)
        break
      case 'locale_provider':
        if (!isDefault && text !== 'libc') throw notSupported(`locale provider ${text}`)
        break
      case 'strategy':
      case 'collation_version':
      case 'oid':
        break
      case 'tablespace':
        if (!isDefault && text !== 'pg_default') throw sqlError('42704', `tablespace "${text}" does not exist`)
        break
      case 'allow_connections':
        change.allowConnections = truth(text)
        break
      case 'is_template':
        change.isTemplate = truth(text)
        break
      case 'connection_limit': {
        const limit = Number(text)
        if (limit < -1) throw sqlError('22023', `invalid connection limit: ${limit}`)
        change.connectionLimit = limit
        break
      }
      default:
        throw sqlError('42601', `option "${defname}" not recognized`)
    }
  }
  return { change, template }
}

const LEAVING_MS = 5000 // sessions that are just ending are waited for so long, as PostgreSQL does
const LOOK_MS = 100

/** 55006 while others are connected to it. */
async function requireUnused(ddl: Ddl, row: DatabaseRow, message: string): Promise<void> {
  const { session } = ddl
  const connected = () =>
    [...session.server.backends.values()].filter((other) => other.databaseOid === row.oid && other.pid !== session.pid)
  let others = connected()
  for (let waited = 0; others.length > 0 && waited < LEAVING_MS; waited += LOOK_MS) {
    await session.waits.interruptible(new Promise<void>((resolve) => setTimeout(resolve, LOOK_MS)), undefined)
    others = connected()
  }
  if (others.length === 0) return
  throw sqlError('55006', message, {
    detail:
      others.length === 1
        ? 'There is 1 other session using the database.'
        : `There are ${others.length} other sessions using the database.`,
  })
}

export function registerDatabases(): void {
  defineDdl('CreatedbStmt', 'CREATE DATABASE', async (ddl, node) => {
    preventInBlock(ddl.session, ddl.call, 'CREATE DATABASE')
    const { editor, session } = ddl
    const name = node.dbname!
    const { change, template: templateName } = optionsOf(ddl, node.options)
    if (!me(ddl).superuser && !me(ddl).createDatabase) throw sqlError('42501', 'permission denied to create database')
    const owner = change.owner ?? roleOf(ddl)
    if (owner !== roleOf(ddl)) requireMember(ddl, owner)
    const template = editor.databaseByName(templateName ?? 'template1')
    if (template === undefined)
      throw sqlError('3D000', `template database "${templateName ?? 'template1'}" does not exist`)
    if (!template.isTemplate && !ownedBy(editor, roleOf(ddl), template.owner))
      throw sqlError('42501', `permission denied to copy database "${template.name}"`)
    await lockName(ddl, 'database', { name })
    if (editor.databaseByName(name) !== undefined) throw sqlError('42P04', `database "${name}" already exists`)
    await lockObject(ddl, `database ${template.oid}`, 'share')
    await requireUnused(ddl, template, `source database "${template.name}" is being accessed by other users`)
    const row: DatabaseRow = {
      oid: editor.nextOid(),
      name,
      owner,
      connectionLimit: change.connectionLimit ?? -1,
      allowConnections: change.allowConnections ?? true,
      isTemplate: change.isTemplate ?? false,
    }
    const txn = session.transaction.ensure()
    session.server.catalogs.copyDatabase(txn, template.oid, row.oid)
    copyRows(ddl, template.oid, row.oid)
    editor.put('database', row)
    return 'CREATE DATABASE'
  })

  defineDdl('DropdbStmt', 'DROP DATABASE', async (ddl, node) => {
    preventInBlock(ddl.session, ddl.call, 'DROP DATABASE')
    const { editor, session } = ddl
    const force = (node.options ?? []).some((each) => 'DefElem' in each && each.DefElem.defname === 'force')
    const row = editor.databaseByName(node.dbname!)
    if (row === undefined) {
      const message = `database "${node.dbname}" does not exist`
      if (node.missing_ok !== true) throw sqlError('3D000', message)
      notice(ddl, `${message}, skipping`)
      return 'DROP DATABASE'
    }
    requireOwner(ddl, row.owner, 'database', row.name)
    if (row.isTemplate) throw sqlError('42809', 'cannot drop a template database')
    if (row.oid === editor.databaseOid) throw sqlError('55006', 'cannot drop the currently open database')
    await lockObject(ddl, `database ${row.oid}`, 'access-exclusive')
    if (force) {
      for (const other of [...session.server.backends.values()]) {
        if (other.databaseOid !== row.oid) continue
        other.terminate()
        await other.close()
      }
    }
    await requireUnused(ddl, row, `database "${row.name}" is being accessed by other users`)
    const txn = session.transaction.ensure()
    const sequences = [...session.server.catalogs.catalog(row.oid).ownAll('relation')].filter(
      (each) => each.kind === 'S',
    )
    session.server.catalogs.removeDatabase(txn, row.oid)
    session.kv.scheduleRemoval(txn, databaseSpan(row.oid))
    editor.remove('database', row.oid)
    session.hooks.ended.push((committed) => {
      if (!committed) return
      for (const sequence of sequences) session.kv.deleteState(sequenceKey(row.oid, sequence.storageId))
      session.server.vectors.drop(databaseSpan(row.oid).from)
    })
    return 'DROP DATABASE'
  })

  defineDdl('AlterDatabaseStmt', 'ALTER DATABASE', (ddl, node) => {
    const row = requireDatabase(ddl, node.dbname!)
    requireOwner(ddl, row.owner, 'database', row.name)
    const { change } = optionsOf(ddl, node.options)
    if (change.allowConnections === false && row.oid === ddl.editor.databaseOid)
      throw sqlError('22023', 'cannot disallow connections for current database')
    ddl.editor.put('database', { ...row, ...change })
    return 'ALTER DATABASE'
  })

  defineDdl('AlterDatabaseSetStmt', 'ALTER DATABASE', (ddl, node) => {
    const row = requireDatabase(ddl, node.dbname!)
    requireOwner(ddl, row.owner, 'database', row.name)
    const { settings, ...rest } = row
    const next = changeSettings(ddl, settings ?? [], node.setstmt!)
    ddl.editor.put('database', next.length === 0 ? rest : { ...rest, settings: next })
    return 'ALTER DATABASE'
  })
}

/** Rows and index entries under the other database's number; storage ids stay the same. Sequences begin where they stand. */
function copyRows(ddl: Ddl, from: Oid, to: Oid): void {
  const { session } = ddl
  const txn = session.transaction.ensure()
  const span = databaseSpan(from)
  const scanner = txn.scan(span)
  const prefix = span.from.slice(0, 1) + varint(to)
  try {
    for (let page = scanner.next(1024); page !== undefined; page = scanner.next(1024)) {
      let at = 0
      for (let i = 0; i < page.count; i++) {
        const keyEnd = at + PAGE_HEADER_BYTES + page.buffer.readUInt32LE(at)
        const valueEnd = keyEnd + page.buffer.readUInt32LE(at + 4)
        const key = page.buffer.toString('latin1', at + PAGE_HEADER_BYTES, keyEnd)
        const [, after] = readVarint(key, 1)!
        txn.put((prefix + key.slice(after)) as Key, page.buffer.subarray(keyEnd, valueEnd))
        at = valueEnd
      }
    }
  } finally {
    scanner.close()
  }
  for (const row of session.server.catalogs.catalog(from).ownAll('relation')) {
    if (row.kind !== 'S') continue
    // Where it stands, not what it has reserved ahead.
    const { value, called } = new SequenceCache(session.kv, from).peek(row)
    new SequenceCache(session.kv, to).create(row, value, called)
  }
}
