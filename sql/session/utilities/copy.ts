/**
 * COPY (PostgreSQL 15 manual, SQL commands).
 *
 *   TO     query → rows → copy-format → CopyData messages, or a file
 *   FROM   chunks → copy-format → values → batches → a bulk inserter, which checks all that INSERT does
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { CopyStmt, Node, RangeVar } from '@pgsql/types'
import { oid } from '../../../storage/keys/brand.ts'
import { type BindContext, bindTableCondition, errorAt, namesOf, requireRelation } from '../../binder/binder.ts'
import type { ColumnRow, RelationRow } from '../../catalog/catalog.ts'
import { columnAllows, memberships, securable } from '../../catalog/privileges.ts'
import { type BulkInserter, createBulkInserter } from '../../executor/copy.ts'
import { type CopyColumn, CopyTextReader } from '../../executor/copy-format.ts'
import { compileEnv } from '../../executor/executor.ts'
import type { MutableRow } from '../../executor/operator.ts'
import type { Expression } from '../../plan/expression.ts'
import { some } from '../../plan/walk.ts'
import { notSupported, type SqlError, sqlError } from '../../types/error.ts'
import { decodeFrom, encodeTo, isSingleByte } from '../../types/text/encodings.ts'
import type { Backend } from '../backend.ts'
import { newPortal, type Portal } from '../portal.ts'
import { sliceOver, startSlice } from '../scheduler.ts'
import type { Sink } from '../session.ts'
import type { Statement } from '../statement.ts'
import { define, type UtilityCall } from '../utility.ts'
import {
  BinaryReader,
  type CopyWriter,
  CsvReader,
  copyWriter,
  HeaderLine,
  RecentLines,
  type TextRecord,
  withLine,
} from './copy-format.ts'
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

/** PostgreSQL does not say where the name stands. */
function relationOf(b: BindContext, { location: _, ...named }: RangeVar): RelationRow {
  return requireRelation(b, named)
}

const READ_FILES = oid(4569)
const WRITE_FILES = oid(4570)

function checkFile(session: Backend, node: CopyStmt): void {
  const [role, name, verb] = node.is_from
    ? [READ_FILES, 'pg_read_server_files', 'from']
    : [WRITE_FILES, 'pg_write_server_files', 'to']
  if (!session.isSuperuser && !memberships(session.catalog, session.userOid, true).has(role)) {
    throw sqlError('42501', `must be superuser or have privileges of the ${name} role to COPY ${verb} a file`, {
      hint: "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
    })
  }
  if (!node.is_from && !isAbsolute(node.filename!))
    throw sqlError('42602', 'relative path not allowed for COPY to file')
}

/** The columns a list names, or all that can be copied. Throws 42703, 42701, 42P10. */
function columnsOf(table: RelationRow, list: readonly string[]): ColumnRow[] {
  if (list.length === 0) return table.columns.filter((column) => !column.dropped && column.generated === undefined)
  const found: ColumnRow[] = []
  for (const name of list) {
    const column = table.columns.find((each) => !each.dropped && each.name === name)
    if (column === undefined) throw sqlError('42703', `column "${name}" of relation "${table.name}" does not exist`)
    if (column.generated !== undefined)
      throw sqlError('42P10', `column "${name}" is a generated column`, {
        detail: 'Generated columns cannot be used in COPY.',
      })
    if (found.includes(column)) throw sqlError('42701', `column "${name}" specified more than once`)
    found.push(column)
  }
  return found
}

function requireRight(session: Backend, table: RelationRow, letter: 'r' | 'a', columns: readonly ColumnRow[]): void {
  const { catalog, userOid } = session
  const object = securable(catalog, 'relation', table.oid)
  if (object === undefined || !columns.every((column) => columnAllows(catalog, userOid, object, column, letter)))
    throw sqlError('42501', `permission denied for table ${table.name}`)
}

/** Positions in the column list of the names of FORCE_…; 42703 and 42P10 for others. */
function positionsOf(
  names: readonly string[],
  option: string,
  table: RelationRow | undefined,
  columns: readonly string[],
): Set<number> {
  return new Set(
    names.map((name) => {
      if (table !== undefined) columnsOf(table, [name])
      const at = columns.indexOf(name)
      if (at < 0)
        throw table === undefined
          ? sqlError('42703', `column "${name}" does not exist`)
          : sqlError('42P10', `${option} column "${name}" not referenced by COPY`)
      return at
    }),
  )
}

// ── COPY TO ──────────────────────────────────────────────────────────────────────────────────────────────────────

const CANNOT_COPY: Partial<Record<RelationRow['kind'], string>> = {
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
  i: 'index',
  c: 'composite type',
}

/** SELECT the columns FROM the table, as a tree. */
function selectOf(relation: RangeVar, columns: readonly ColumnRow[]): Node {
  const targetList = columns.map(
    (column): Node => ({ ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: column.name } }] } } } }),
  )
  return {
    SelectStmt: {
      targetList,
      fromClause: [{ RangeVar: relation }],
      limitOption: 'LIMIT_OPTION_DEFAULT',
      op: 'SETOP_NONE',
    },
  }
}

async function copyTo(
  session: Backend,
  node: CopyStmt,
  call: UtilityCall,
  statement: Statement,
  b: BindContext,
  options: CopyOptions,
): Promise<string> {
  let table: RelationRow | undefined
  let query = node.query
  if (node.relation !== undefined) {
    table = relationOf(b, node.relation)
    const what = CANNOT_COPY[table.kind]
    if (what !== undefined) {
      const viaQuery = what.endsWith('view')
      throw sqlError(
        '42809',
        `cannot copy from ${what} "${table.name}"`,
        viaQuery ? { hint: 'Try the COPY (SELECT ...) TO variant.' } : {},
      )
    }
    const columns = columnsOf(table, namesOf(node.attlist))
    requireRight(session, table, 'r', columns)
    query = selectOf(node.relation, columns)
  }
  if ('MergeStmt' in query!) throw sqlError('0A000', 'MERGE not supported in COPY')
  if ('SelectStmt' in query! && query.SelectStmt.intoClause !== undefined)
    throw sqlError('0A000', 'COPY (SELECT INTO) is not supported')
  const { prepared, parameters } = innerQuery(session, statement, query!, call.parameters)
  const { fields } = prepared
  if (fields === undefined) throw sqlError('0A000', 'COPY query must have a RETURNING clause')
  const names = fields.map((field) => field.name)
  const forced =
    options.forceQuote === 'all' ? new Set(names.keys()) : positionsOf(options.forceQuote, 'FORCE_QUOTE', table, names)
  const plain = copyWriter(
    options,
    names,
    fields.map((field) => field.type),
    forced,
    session.typeContext,
  )
  const encoding = encodingOf(session, options)
  const writer = encoding === undefined ? plain : encoded(plain, encoding)
  const portal = newPortal('', statement, parameters, [], prepared)
  const count =
    node.filename === undefined
      ? await toClient(session, portal, writer, call.sink, options, names.length)
      : await toFile(session, portal, writer, call.sink, node.filename)
  return `COPY ${count}`
}

/** The character set that the data has to be converted from or to; undefined: it is UTF-8, or no text. */
function encodingOf(session: Backend, options: CopyOptions): string | undefined {
  const name = options.encoding ?? session.settings.get('client_encoding')
  return options.format !== 'binary' && isSingleByte(name) ? name : undefined
}

function encoded(writer: CopyWriter, name: string): CopyWriter {
  const convert = (bytes: Uint8Array): Uint8Array => encodeTo(Buffer.from(bytes).toString(), name)
  return {
    head: writer.head && convert(writer.head),
    row: (values) => convert(writer.row(values)),
    tail: writer.tail && convert(writer.tail),
  }
}

async function toClient(
  session: Backend,
  portal: Portal,
  writer: CopyWriter,
  sink: Sink,
  options: CopyOptions,
  columns: number,
): Promise<number> {
  let count = 0
  let begun = false
  const begin = (): void => {
    if (begun) return
    begun = true
    sink.copyOut(options.format === 'binary' ? 1 : 0, columns)
    if (writer.head !== undefined) sink.copyData(writer.head)
  }
  begin()
  await session.runner.runPortal(
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
  const hint =
    verb === 'writing'
      ? 'COPY TO instructs the PostgreSQL server process to write a file.'
      : 'COPY FROM instructs the PostgreSQL server process to read a file.'
  return sqlError(
    state,
    `could not open file "${path}" for ${verb}: ${text}`,
    code === 'ENOENT' || code === 'EACCES'
      ? { hint: `${hint} You may want a client-side facility such as psql's \\copy.` }
      : {},
  )
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
  const failure = new Promise<never>((_, reject) =>
    file.once('error', (error) => reject(fileError(error, path, 'writing'))),
  )
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
    await session.runner.runPortal(portal, 0, into)
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

/** Rows read from one chunk: `lineOf(i)` is where row i stood, `rawOf(i)` that line's text when it is still known. */
interface Rows {
  readonly rows: MutableRow[]
  lineOf(i: number): number
  rawOf(i: number): string | undefined
}
type RowSource = (chunk: Buffer | undefined) => Iterable<Rows>

async function copyFrom(
  session: Backend,
  node: CopyStmt,
  call: UtilityCall,
  b: BindContext,
  options: CopyOptions,
): Promise<string> {
  const table = relationOf(b, node.relation!)
  const what = CANNOT_COPY[table.kind]
  if (what !== undefined) {
    throw sqlError(
      '42809',
      `cannot copy to ${what} "${table.name}"`,
      what === 'view' ? { hint: 'To enable copying to a view, provide an INSTEAD OF INSERT trigger.' } : {},
    )
  }
  requireRight(session, table, 'a', columnsOf(table, namesOf(node.attlist)))
  if (table.persistence !== 't') session.requireWritable('COPY FROM')
  if (table.virtual) throw sqlError('42501', `permission denied: "${table.name}" is a system catalog`)
  const columns = columnsOf(table, namesOf(node.attlist))
  const names = columns.map((column) => column.name)
  const notNull = positionsOf(options.forceNotNull, 'FORCE_NOT_NULL', table, names)
  const forceNull = positionsOf(options.forceNull, 'FORCE_NULL', table, names)
  const txn = session.transaction.ensure()
  const locked = txn.lockTarget(`relation ${table.oid}`, 'row-exclusive', 'wait')
  if (locked instanceof Promise) await session.waits.interruptible(locked, 'Lock')
  txn.beginStatement()
  const target = new Target(session, table, columns, b, node.whereClause)
  const source =
    node.filename === undefined
      ? call.sink.copyIn(options.format === 'binary' ? 1 : 0, columns.length)
      : createReadStream(node.filename)
  const read = rowSource(session, table, columns, options, notNull, forceNull)
  const encoding = encodingOf(session, options)
  startSlice()
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  try {
    for (;;) {
      const { value, done } = await session.waits.interruptible(chunks.next(), 'Client').catch((error: unknown) => {
        throw node.filename === undefined ? error : fileError(error, node.filename, 'reading')
      })
      const chunk = done === true ? undefined : value
      // A character is one byte: a piece of the data ends where it may.
      const text = encoding === undefined || chunk === undefined ? chunk : Buffer.from(decodeFrom(chunk, encoding))
      for (const rows of read(text)) {
        await target.insert(rows)
        if (sliceOver()) await session.waits.turn()
      }
      if (done === true) break
    }
    await target.finish()
  } catch (error) {
    await chunks.return?.()
    throw error
  }
  return `COPY ${target.count}`
}

function rowSource(
  session: Backend,
  table: RelationRow,
  columns: readonly ColumnRow[],
  options: CopyOptions,
  notNull: ReadonlySet<number>,
  forceNull: ReadonlySet<number>,
): RowSource {
  const described = columns.map(
    ({ name, type, typmod }): CopyColumn => ({ name, type: session.catalog.type(type), typmod }),
  )
  switch (options.format) {
    case 'text':
      return textRows(session, table, columns, described, options)
    case 'csv':
      return csvRows(
        session,
        table,
        columns,
        described,
        options,
        new CsvReader(options, table.name, notNull, forceNull),
      )
    case 'binary':
      return binaryRows(session, table, described)
  }
}

function textRows(
  session: Backend,
  table: RelationRow,
  columns: readonly ColumnRow[],
  described: readonly CopyColumn[],
  options: CopyOptions,
): RowSource {
  const reader = new CopyTextReader(table.name, described, options, session.typeContext)
  const recent = new RecentLines()
  let header = options.header === false ? undefined : new HeaderLine(options.delimiter)
  return function* (given) {
    let chunk = given
    if (header !== undefined) {
      const rest = header.push(given)
      if (rest === undefined) return
      if (options.header === 'match')
        matchHeader(
          { fields: header.fields!.map((field) => (field === options.null ? null : field)), line: 1, raw: header.raw },
          columns,
          table,
        )
      header = undefined
      reader.line = 1
      if (given !== undefined) chunk = rest
      else if (rest.length > 0) throw new TypeError('data after the end')
    }
    if (chunk !== undefined) recent.note(chunk)
    const rows = reader.push(chunk)
    const first = reader.line - rows.length + 1
    for (let at = 0; at < rows.length; at += BATCH) {
      yield {
        rows: rows.length <= BATCH ? rows : rows.slice(at, at + BATCH),
        lineOf: (i) => first + at + i,
        rawOf: (i) => recent.line(at + i),
      }
    }
  }
}

function csvRows(
  session: Backend,
  table: RelationRow,
  columns: readonly ColumnRow[],
  described: readonly CopyColumn[],
  options: CopyOptions,
  reader: CsvReader,
): RowSource {
  const context = session.typeContext
  let { header } = options
  const convert = ({ fields, line, raw }: TextRecord): MutableRow => {
    if (fields.length > columns.length && !(columns.length === 0 && raw === ''))
      throw withLine(sqlError('22P04', 'extra data after last expected column'), table.name, line, raw)
    if (fields.length < columns.length)
      throw withLine(
        sqlError('22P04', `missing data for column "${columns[fields.length]!.name}"`),
        table.name,
        line,
        raw,
      )
    return described.map(({ name, type, typmod }, i) => {
      const field = fields[i]!
      try {
        if (field !== null) return type.input(field, typmod, context)
        type.checkNull?.(context)
        return null
      } catch (error) {
        throw withLine(error, table.name, line, field, name)
      }
    })
  }
  return function* (chunk) {
    let records: TextRecord[] = []
    let rows: MutableRow[] = []
    const take = (): Rows => {
      const [of, made] = [records, rows]
      records = []
      rows = []
      return { rows: made, lineOf: (i) => of[i]!.line, rawOf: (i) => of[i]!.raw }
    }
    for (const record of reader.push(chunk)) {
      if (header !== false) {
        if (header === 'match') matchHeader(record, columns, table)
        header = false
        continue
      }
      records.push(record)
      rows.push(convert(record))
      if (rows.length >= BATCH) yield take()
    }
    if (rows.length > 0) yield take()
  }
}

function binaryRows(session: Backend, table: RelationRow, described: readonly CopyColumn[]): RowSource {
  const reader = new BinaryReader(described, session.typeContext, table.name)
  return function* (chunk) {
    let rows: MutableRow[] = []
    let first = reader.line + 1
    const take = (): Rows => {
      const [made, from] = [rows, first]
      rows = []
      first += made.length
      return { rows: made, lineOf: (i) => from + i, rawOf: () => undefined }
    }
    for (const row of reader.push(chunk)) {
      rows.push(row)
      if (rows.length >= BATCH) yield take()
    }
    if (rows.length > 0) yield take()
  }
}

function matchHeader({ fields, line, raw }: TextRecord, columns: readonly ColumnRow[], table: RelationRow): void {
  if (fields.length !== columns.length)
    throw withLine(
      sqlError('22P04', `wrong number of fields in header line: got ${fields.length}, expected ${columns.length}`),
      table.name,
      line,
      raw,
    )
  fields.forEach((field, i) => {
    const { name } = columns[i]!
    const position = `column name mismatch in header line field ${i + 1}: got ${field === null ? 'null value' : `"${field}"`}`
    if (field === null)
      throw withLine(sqlError('22P04', `${position} ("\\N"), expected "${name}"`), table.name, line, raw)
    if (field !== name) throw withLine(sqlError('22P04', `${position}, expected "${name}"`), table.name, line, raw)
  })
}

/** Where rows go. */
class Target {
  count = 0
  readonly #session: Backend
  readonly #table: RelationRow
  readonly #load: BulkInserter

  constructor(
    session: Backend,
    table: RelationRow,
    columns: readonly ColumnRow[],
    b: BindContext,
    where: Node | undefined,
  ) {
    this.#session = session
    this.#table = table
    const env = compileEnv(session.catalog, 'often')
    const x = session.runner.newExecution(session.transaction.ensure(), 0, [])
    const condition = where === undefined ? undefined : whereOf(b, table, where)
    this.#load = createBulkInserter(table, x, env, {
      columns: columns.map((column) => column.number),
      ...(condition === undefined ? {} : { where: condition }),
    })
  }

  async insert({ rows, lineOf, rawOf }: Rows): Promise<void> {
    try {
      this.count += await this.#session.waits.drive(this.#load.insert(rows))
    } catch (error) {
      // Constraints that span rows do not show the line, as PostgreSQL finds them when a batch is written.
      const code = error instanceof Error && error.name === 'SqlError' ? (error as SqlError).code : ''
      throw withLine(
        error,
        this.#table.name,
        lineOf(this.#load.at),
        code === '23505' || code === '23503' ? undefined : rawOf(this.#load.at),
      )
    }
  }

  finish(): Promise<void> | void {
    return this.#session.waits.drive(this.#load.finish())
  }
}

/** WHERE over vars of the table. */
function whereOf(b: BindContext, table: RelationRow, where: Node): Expression {
  const condition = bindTableCondition(b, table, where, 'copy where', 'WHERE')
  some(condition, (e) => {
    if (e.kind === 'subquery') throw errorAt(b, '0A000', 'cannot use subquery in COPY FROM WHERE condition')
    if (e.kind !== 'var' || e.column <= 0) return false
    const column = table.columns[e.column - 1]!
    if (column.generated !== undefined)
      throw sqlError('42P10', 'generated columns are not supported in COPY FROM WHERE conditions', {
        detail: `Column "${column.name}" is a generated column.`,
      })
    return false
  })
  return condition
}
