/**
 * COPY (PostgreSQL 15 manual, SQL commands).
 *
 *   TO     query → rows → copy-format → CopyData messages, or a file
 *   FROM   chunks → copy-format → values → batches → an INSERT's plan over a working table:
 *
 *          Insert ── Filter (WHERE) ── Project (defaults) ── WorkTable Scan: the batch
 *
 * so that what an INSERT checks is checked, at a batch's price. When a batch fails it is taken back and its rows go in one by
 * one, to say which line it was.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { CopyStmt, Node, RangeVar } from '@pgsql/types'
import { type BindContext, bindTableCondition, coerceTo, defaultOf, errorAt, namesOf, requireRelation } from '../../binder/binder.ts'
import type { ColumnRow, RelationRow } from '../../catalog/catalog.ts'
import { allows, memberships, securable } from '../../catalog/privileges.ts'
import { oid } from '../../../storage/keys/brand.ts'
import { compileEnv, compilePlan, runPlan } from '../../executor/executor.ts'
import type { Execution, MutableRow, Operator } from '../../executor/operator.ts'
import { RowStore } from '../../executor/store.ts'
import type { Expression } from '../../plan/expression.ts'
import type { Plan } from '../../plan/plan.ts'
import { mapChildren } from '../../plan/walk.ts'
import { notSupported, type SqlError, sqlError } from '../../types/error.ts'
import type { Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { nextSlice, sliceOver, startSlice } from '../scheduler.ts'
import type { Portal } from '../portal.ts'
import type { Sink } from '../session.ts'
import type { Statement } from '../statement.ts'
import { type UtilityCall, define } from '../utility.ts'
import { BinaryReader, type CopyWriter, CsvReader, type LineReader, TextReader, type TextRecord, copyWriter, withLine } from './copy-format.ts'
import { type CopyOptions, copyOptions } from './copy-options.ts'
import { contextOf, innerQuery, rowSink } from './query.ts'

export function registerCopy(): void {
  define('CopyStmt', (session, node, call, statement) => {
    if (node.is_program) throw notSupported('COPY PROGRAM')
    const b = contextOf(session, statement, [])
    const options = copyOptions(b, node)
    if (node.filename !== undefined) checkFile(session, node)
    return node.is_from ? copyFrom(session, node, call, b, options) : copyTo(session, node, call, statement, b, options)
  })
}

const READ_FILES = oid(4569)
const WRITE_FILES = oid(4570)

function checkFile(session: Backend, node: CopyStmt): void {
  const [role, name, verb] = node.is_from ? [READ_FILES, 'pg_read_server_files', 'from'] : [WRITE_FILES, 'pg_write_server_files', 'to']
  if (!session.isSuperuser && !memberships(session.catalog, session.userOid, true).has(role)) {
    throw sqlError('42501', `must be superuser or have privileges of the ${name} role to COPY ${verb} a file`, { hint: "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone." })
  }
  if (!node.is_from && !isAbsolute(node.filename!)) throw sqlError('42602', 'relative path not allowed for COPY to file')
}

/** The columns a list names, or all that can be copied. Throws 42703, 42701, 42P10. */
function columnsOf(table: RelationRow, list: readonly string[]): ColumnRow[] {
  if (list.length === 0) return table.columns.filter((column) => !column.dropped && column.generated === undefined)
  const found: ColumnRow[] = []
  for (const name of list) {
    const column = table.columns.find((each) => !each.dropped && each.name === name)
    if (column === undefined) throw sqlError('42703', `column "${name}" of relation "${table.name}" does not exist`)
    if (column.generated !== undefined) throw sqlError('42P10', `column "${name}" is a generated column`, { detail: 'Generated columns cannot be used in COPY.' })
    if (found.includes(column)) throw sqlError('42701', `column "${name}" specified more than once`)
    found.push(column)
  }
  return found
}

function requireRight(session: Backend, table: RelationRow, letter: 'r' | 'a'): void {
  const object = securable(session.catalog, 'relation', table.oid)
  if (object === undefined || !allows(session.catalog, session.userOid, object, letter)) throw sqlError('42501', `permission denied for table ${table.name}`)
}

/** Positions in the column list of the names of FORCE_…; 42703 and 42P10 for others. */
function positionsOf(names: readonly string[], option: string, table: RelationRow | undefined, columns: readonly string[]): Set<number> {
  return new Set(
    names.map((name) => {
      if (table !== undefined) columnsOf(table, [name])
      const at = columns.indexOf(name)
      if (at < 0) throw table === undefined ? sqlError('42703', `column "${name}" does not exist`) : sqlError('42P10', `${option} column "${name}" not referenced by COPY`)
      return at
    }),
  )
}

// ── COPY TO ──────────────────────────────────────────────────────────────────────────────────────────────────────

const CANNOT_COPY: Partial<Record<RelationRow['kind'], string>> = { v: 'view', m: 'materialized view', S: 'sequence', i: 'index', c: 'composite type' }

/** SELECT the columns FROM the table, as a tree. */
function selectOf(relation: RangeVar, columns: readonly ColumnRow[]): Node {
  const targetList = columns.map((column): Node => ({ ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: column.name } }] } } } }))
  return { SelectStmt: { targetList, fromClause: [{ RangeVar: relation }], limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' } }
}

async function copyTo(session: Backend, node: CopyStmt, call: UtilityCall, statement: Statement, b: BindContext, options: CopyOptions): Promise<string> {
  let table: RelationRow | undefined
  let query = node.query
  if (node.relation !== undefined) {
    table = requireRelation(b, node.relation)
    const what = CANNOT_COPY[table.kind]
    if (what !== undefined) {
      const viaQuery = what.endsWith('view')
      throw sqlError('42809', `cannot copy from ${what} "${table.name}"`, viaQuery ? { hint: 'Try the COPY (SELECT ...) TO variant.' } : {})
    }
    requireRight(session, table, 'r')
    query = selectOf(node.relation, columnsOf(table, namesOf(node.attlist)))
  }
  if ('SelectStmt' in query! && query.SelectStmt.intoClause !== undefined) throw sqlError('0A000', 'COPY (SELECT INTO) is not supported')
  const { prepared, parameters } = innerQuery(session, statement, query!, call.parameters)
  const { fields } = prepared
  if (fields === undefined) throw sqlError('0A000', 'COPY query must have a RETURNING clause')
  const names = fields.map((field) => field.name)
  const forced = options.forceQuote === 'all' ? new Set(names.keys()) : positionsOf(options.forceQuote, 'FORCE_QUOTE', table, names)
  const writer = copyWriter(
    options,
    names,
    fields.map((field) => field.type),
    forced,
    session.typeContext,
  )
  const portal: Portal = { name: '', statement, parameters, formats: [], prepared, fields, execution: undefined, steps: undefined, pending: [], pendingAt: 0, done: false, sent: 0, cursor: undefined }
  const count = node.filename === undefined ? await toClient(session, portal, writer, call.sink, options, names.length) : await toFile(session, portal, writer, call.sink, node.filename)
  return `COPY ${count}`
}

async function toClient(session: Backend, portal: Portal, writer: CopyWriter, sink: Sink, options: CopyOptions, columns: number): Promise<number> {
  let count = 0
  let begun = false
  const begin = (): void => {
    if (begun) return
    begun = true
    sink.copyOut(options.format === 'binary' ? 1 : 0, columns)
    if (writer.head !== undefined) sink.copyData(writer.head)
  }
  begin()
  await session.runPortal(
    portal,
    0,
    rowSink(
      sink,
      (row) => {
        sink.copyData(writer.row(row))
        count++
      },
      () => sink.flow(),
    ),
  )
  if (writer.tail !== undefined) sink.copyData(writer.tail)
  sink.copyDone()
  return count
}

const fileError = (error: unknown, path: string, verb: 'reading' | 'writing'): SqlError => {
  const { code } = error as NodeJS.ErrnoException
  const [state, text] = FILE_ERRORS[code ?? ''] ?? ['58030', (error as Error).message]
  const hint = verb === 'writing' ? 'COPY TO instructs the PostgreSQL server process to write a file.' : 'COPY FROM instructs the PostgreSQL server process to read a file.'
  return sqlError(state, `could not open file "${path}" for ${verb}: ${text}`, code === 'ENOENT' || code === 'EACCES' ? { hint: `${hint} You may want a client-side facility such as psql's \\copy.` } : {})
}
const FILE_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  ENOENT: ['58P01', 'No such file or directory'],
  EACCES: ['42501', 'Permission denied'],
  EISDIR: ['42809', 'Is a directory'],
}

async function toFile(session: Backend, portal: Portal, writer: CopyWriter, sink: Sink, path: string): Promise<number> {
  const file = createWriteStream(path, { mode: 0o644 })
  let count = 0
  let full: Promise<void> | undefined
  const failure = new Promise<never>((_, reject) => file.once('error', (error) => reject(fileError(error, path, 'writing'))))
  failure.catch(() => {})
  const write = (bytes: Uint8Array): void => {
    if (file.write(Buffer.from(bytes))) return
    full ??= Promise.race([failure, new Promise<void>((resolve) => file.once('drain', resolve))]).then(() => {
      full = undefined
    })
  }
  try {
    await Promise.race([failure, new Promise<void>((resolve) => file.once('open', () => resolve()))])
    if (writer.head !== undefined) write(writer.head)
    const into = rowSink(
      sink,
      (row) => {
        write(writer.row(row))
        count++
      },
      () => full,
    )
    await session.runPortal(portal, 0, into)
    if (writer.tail !== undefined) write(writer.tail)
    await Promise.race([failure, new Promise<void>((resolve) => file.end(() => resolve()))])
  } catch (error) {
    file.destroy()
    throw error
  }
  return count
}

// ── COPY FROM ────────────────────────────────────────────────────────────────────────────────────────────────────

const BATCH = 1024 // rows that go in together
const SLOT = 0

interface Line {
  readonly row: MutableRow
  readonly line: number
  readonly raw: string | undefined
}

async function copyFrom(session: Backend, node: CopyStmt, call: UtilityCall, b: BindContext, options: CopyOptions): Promise<string> {
  const table = requireRelation(b, node.relation!)
  const what = CANNOT_COPY[table.kind]
  if (what !== undefined) {
    throw sqlError('42809', `cannot copy to ${what} "${table.name}"`, what === 'view' ? { hint: 'To enable copying to a view, provide an INSTEAD OF INSERT trigger.' } : {})
  }
  requireRight(session, table, 'a')
  if (table.persistence !== 't') session.requireWritable('COPY FROM')
  if (table.virtual) throw sqlError('42501', `permission denied: "${table.name}" is a system catalog`)
  const columns = columnsOf(table, namesOf(node.attlist))
  const names = columns.map((column) => column.name)
  const notNull = positionsOf(options.forceNotNull, 'FORCE_NOT_NULL', table, names)
  const forceNull = positionsOf(options.forceNull, 'FORCE_NULL', table, names)
  const txn = session.transaction.ensure()
  const locked = txn.lockTarget(`relation ${table.oid}`, 'row-exclusive', 'wait')
  if (locked instanceof Promise) await session.interruptible(locked, 'Lock')
  txn.beginStatement()
  const target = new Target(session, table, columns, b, node.whereClause)
  const source = node.filename === undefined ? call.sink.copyIn(options.format === 'binary' ? 1 : 0, columns.length) : createReadStream(node.filename)
  const read = options.format === 'binary' ? binaryLines(session, table, columns) : textLines(session, table, columns, options, notNull, forceNull)
  startSlice()
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  try {
    for (;;) {
      const { value, done } = await session.interruptible(chunks.next(), 'Client').catch((error: unknown) => {
        throw node.filename === undefined ? error : fileError(error, node.filename, 'reading')
      })
      const chunk = done === true ? undefined : value
      for (const line of read(chunk)) {
        if (target.add(line)) {
          await target.flush()
          if (sliceOver()) {
            await nextSlice()
            session.checkInterrupts()
          }
        }
      }
      if (done === true) break
    }
    await target.flush()
  } catch (error) {
    await chunks.return?.()
    throw error
  }
  return `COPY ${target.count}`
}

type LineSource = (chunk: Uint8Array | undefined) => Iterable<Line>

function binaryLines(session: Backend, table: RelationRow, columns: readonly ColumnRow[]): LineSource {
  const types = columns.map((column) => session.catalog.type(column.type))
  const reader = new BinaryReader(
    types,
    columns.map((column) => column.typmod),
    columns.map((column) => column.name),
    session.typeContext,
    table.name,
  )
  return function* (chunk) {
    for (const { values, line } of reader.push(chunk)) yield { row: values, line, raw: undefined }
  }
}

function textLines(session: Backend, table: RelationRow, columns: readonly ColumnRow[], options: CopyOptions, notNull: ReadonlySet<number>, forceNull: ReadonlySet<number>): LineSource {
  const reader: LineReader = options.format === 'csv' ? new CsvReader(options, table.name, notNull, forceNull) : new TextReader(options, table.name)
  const types = columns.map((column) => session.catalog.type(column.type))
  const context = session.typeContext
  let header = options.header
  const convert = ({ fields, line, raw }: TextRecord): Line => {
    if (fields.length > columns.length && !(columns.length === 0 && raw === '')) throw withLine(sqlError('22P04', 'extra data after last expected column'), table.name, line, raw)
    if (fields.length < columns.length) throw withLine(sqlError('22P04', `missing data for column "${columns[fields.length]!.name}"`), table.name, line, raw)
    const values: Value[] = new Array<Value>(columns.length)
    for (let i = 0; i < columns.length; i++) {
      const field = fields[i]!
      try {
        values[i] = field === null ? null : types[i]!.input(field, columns[i]!.typmod, context)
      } catch (error) {
        throw withLine(error, table.name, line, field ?? undefined, columns[i]!.name)
      }
    }
    return { row: values, line, raw }
  }
  return function* (chunk) {
    for (const record of reader.push(chunk)) {
      if (header !== false) {
        if (header === 'match') matchHeader(record, columns, table)
        header = false
        continue
      }
      yield convert(record)
    }
  }
}

function matchHeader({ fields, line, raw }: TextRecord, columns: readonly ColumnRow[], table: RelationRow): void {
  if (fields.length !== columns.length) throw withLine(sqlError('22P04', `wrong number of fields in header line: got ${fields.length}, expected ${columns.length}`), table.name, line, raw)
  fields.forEach((field, i) => {
    const { name } = columns[i]!
    const position = `column name mismatch in header line field ${i + 1}: got ${field === null ? 'null value' : `"${field}"`}`
    if (field === null) throw withLine(sqlError('22P04', `${position} ("\\N"), expected "${name}"`), table.name, line, raw)
    if (field !== name) throw withLine(sqlError('22P04', `${position}, expected "${name}"`), table.name, line, raw)
  })
}

/** Where rows go: collects a batch, then runs the insert over it. */
class Target {
  count = 0
  readonly #session: Backend
  readonly #table: RelationRow
  readonly #operator: Operator
  readonly #execution: Execution
  #batch: Line[] = []

  constructor(session: Backend, table: RelationRow, columns: readonly ColumnRow[], b: BindContext, where: Node | undefined) {
    this.#session = session
    this.#table = table
    this.#operator = compilePlan(insertPlan(table, columns, b, where), compileEnv(session.catalog, 'often'))
    this.#execution = session.newExecution(session.transaction.ensure(), 0, [])
  }

  /** True when the batch is full. */
  add(line: Line): boolean {
    this.#batch.push(line)
    return this.#batch.length >= BATCH
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    const { transaction, deferred } = this.#session
    const mark = transaction.ensure().savepoint()
    const checks = deferred.mark()
    try {
      await this.#insert(batch)
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'SqlError') throw error
      if (batch.length === 1) throw this.#located(error, batch[0]!)
      transaction.ensure().rollbackTo(mark)
      deferred.undoTo(checks)
      for (const line of batch) {
        try {
          await this.#insert([line])
        } catch (again) {
          throw this.#located(again, line)
        }
      }
    }
  }

  async #insert(batch: readonly Line[]): Promise<void> {
    const store = new RowStore(this.#execution)
    store.add(batch.map((line) => line.row.slice()))
    this.#execution.kept.clear()
    this.#execution.kept.set(-1 - SLOT, store)
    this.#execution.affected = 0
    await this.#session.drive(runPlan(this.#operator, this.#execution))
    this.count += this.#execution.affected
  }

  /** Constraints that span rows do not show the line, as they are found when a batch is written. */
  #located(error: unknown, { line, raw }: Line): unknown {
    const code = error instanceof Error && error.name === 'SqlError' ? (error as SqlError).code : ''
    return withLine(error, this.#table.name, line, code === '23505' || code === '23503' ? undefined : raw)
  }
}

function insertPlan(table: RelationRow, columns: readonly ColumnRow[], b: BindContext, where: Node | undefined): Plan {
  const live = table.columns.filter((column) => !column.dropped)
  const estimate = { rows: BATCH, startupCost: 0, totalCost: 0, width: 0 }
  const info = (column: ColumnRow) => ({ name: column.name, type: column.type, typmod: column.typmod })
  const source: Plan = { kind: 'cte-scan', slot: SLOT, work: true, name: 'copy', alias: 'copy', columns: columns.map(info), estimate }
  const targets = live.map((column): Expression => {
    const at = columns.indexOf(column)
    if (at < 0) return defaultOf(b, column)
    const isDomain = b.catalog.typeRow(column.type)?.kind === 'd'
    const base = isDomain ? b.catalog.typeRow(column.type)!.baseType : column.type
    const value: Expression = { kind: 'column', index: at, type: base, typmod: column.typmod }
    return isDomain ? coerceTo(b, value, column.type, column.typmod, 'assignment', 'implicit') : value
  })
  let input: Plan = { kind: 'project', input: source, targets, columns: live.map(info), estimate }
  if (where !== undefined) {
    const condition = bindTableCondition(b, table, where, 'where', 'WHERE')
    const lower = (e: Expression): Expression => {
      if (e.kind === 'subquery') throw errorAt(b, '0A000', 'cannot use subquery in COPY FROM WHERE condition')
      if (e.kind !== 'var' || e.level !== 0) return mapChildren(e, lower)
      const column = live.findIndex((each) => each.number === e.column)
      if (column < 0) throw sqlError('42703', 'system columns cannot be used in COPY FROM WHERE')
      if (live[column]!.generated !== undefined) throw sqlError('42P10', 'generated columns are not supported in COPY FROM WHERE conditions', { detail: `Column "${live[column]!.name}" is a generated column.` })
      return { kind: 'column', index: column, type: e.type, typmod: e.typmod }
    }
    input = { kind: 'filter', input, predicate: lower(condition), columns: input.columns, estimate }
  }
  return { kind: 'insert', table: table.oid, alias: table.name, input, conflict: { kind: 'none' }, returning: undefined, columns: [], estimate }
}
