/**
 * Running functions and procedures written in SQL (PostgreSQL 15 manual, 38.5). Their statements are bound and planned at the
 * first call and kept while the catalog stays the same.
 *
 *     function    inside an expression or in FROM: a plan in the calling statement's own snapshot, one step after the other; what
 *                 has to wait is handed up among the rows of a set, or has the calling statement run again (suspend.ts)
 *     procedure   CALL: statements like those of a client, each with a snapshot of its own
 *
 * A volatile function sees what the transaction has written before, its own statements' included; the statement that calls it
 * does not see what it writes.
 */
import type { Node } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import { type BindContext, bind, bindRoutineResult, parameterNames, type RoutineResult } from '../binder/binder.ts'
import type { FunctionRow } from '../catalog/catalog.ts'
import { allows, securable } from '../catalog/privileges.ts'
import { runPlan } from '../executor/executor.ts'
import { Pause } from '../executor/operator.ts'
import { parse } from '../parser/parser.ts'
import type { Query } from '../plan/query.ts'
import { notSupported, SqlError, sqlError } from '../types/error.ts'
import type { CallInfo } from '../types/function.ts'
import { RecordValue, type Row, type Value } from '../types/value.ts'
import type { Backend } from './backend.ts'
import type { Sink } from './session.ts'
import { toSqlError } from './sqlstate-of.ts'
import { bindContext, isQueryNode, makeStatement, type PreparedQuery, planQuery, type Statement } from './statement.ts'
import { Suspend } from './suspend.ts'
import { silentSink } from './utilities/silent-sink.ts'

/** A function for one choice of argument types. */
interface Routine {
  readonly row: FunctionRow
  readonly catalogVersion: number
  readonly settingsEpoch: number
  readonly path: readonly Oid[]
  readonly statements: readonly { readonly statement: Statement; readonly prepared: PreparedQuery }[]
  readonly result: RoutineResult
}

const kept = new WeakMap<Backend, Map<string, Routine>>()
const KEPT_MAX = 500

// ── The body ───────────────────────────────────────────────────────────────────────────────────────────────────

/** The statements of a body: a text of statements, RETURN …, or BEGIN ATOMIC … END. Locations are of `source`. */
export function bodyStatements(body: string): { readonly nodes: readonly Node[]; readonly source: string } {
  const standard = /^(RETURN |BEGIN ATOMIC)/.test(body)
  const source = standard ? `CREATE FUNCTION f() RETURNS void ${body}` : body
  const parsed = parse(source)
  if (parsed instanceof Promise) throw sqlError('54001', 'stack depth limit exceeded')
  if (!standard) return { nodes: parsed.map(({ node }) => node), source }
  const create = parsed[0]?.node
  const inner = create !== undefined && 'CreateFunctionStmt' in create ? create.CreateFunctionStmt.sql_body : undefined
  return { nodes: inner === undefined ? [] : standardBody(inner), source }
}

/** RETURN e is SELECT e; BEGIN ATOMIC … END is a list in a list. */
export function standardBody(node: Node): readonly Node[] {
  if ('ReturnStmt' in node) {
    const target: Node = { ResTarget: { val: node.ReturnStmt.returnval! } }
    return [{ SelectStmt: { targetList: [target], limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' } }]
  }
  if ('List' in node) return (node.List.items ?? []).flatMap(standardBody)
  return [node]
}

/** Parameters by position and by name. */
export function routineContext(session: Backend, row: FunctionRow, source: string, types: readonly Oid[]): BindContext {
  return {
    ...bindContext(session, source, types, true),
    routine: { name: row.name, parameters: parameterNames(row) },
  }
}

/** Refuses what no function's statement may be. */
function checkStatement(node: Node): void {
  if ('TransactionStmt' in node) {
    const { kind } = node.TransactionStmt
    const word = kind?.replace('TRANS_STMT_', '').replace('ROLLBACK_TO', 'ROLLBACK TO SAVEPOINT') ?? 'TRANSACTION'
    throw sqlError('0A000', `${word} is not allowed in an SQL function`)
  }
  if ('CopyStmt' in node && node.CopyStmt.filename === undefined)
    throw sqlError('0A000', 'cannot COPY to/from client in an SQL function')
}

/** Plans one statement; the last one's columns as the function returns them. */
function prepareStatement(
  session: Backend,
  row: FunctionRow,
  statement: Statement,
  types: readonly Oid[],
  returns: Oid | undefined,
): { readonly prepared: PreparedQuery; readonly result: RoutineResult } {
  const b = routineContext(session, row, statement.source, types)
  let query: Query = bind(b, statement.node)
  let result: RoutineResult = { kind: 'void' }
  if (returns !== undefined) {
    const final = bindRoutineResult(b, row, types, returns, query)
    query = final.query ?? query
    result = final.result
  }
  return { prepared: planQuery(session, b, query, true), result }
}

function routineOf(session: Backend, row: FunctionRow, types: readonly Oid[], returns: Oid): Routine {
  let all = kept.get(session)
  if (all === undefined) kept.set(session, (all = new Map()))
  const key = `${row.oid} ${types.join(',')} ${returns}`
  const known = all.get(key)
  const { catalog, searchPath } = session
  if (
    known !== undefined &&
    known.catalogVersion === catalog.version &&
    known.settingsEpoch === session.settings.epoch &&
    known.path === searchPath &&
    known.row === row
  )
    return known
  const { nodes, source } = bodyStatements(row.body!)
  let result: RoutineResult = { kind: 'void' }
  const statements = nodes.map((node, i) => {
    checkStatement(node)
    const statement = makeStatement(node, source, source, types)
    if (!isQueryNode(statement.node))
      throw notSupported(`${words(statement.tag)} in a function that a query calls`, {
        hint: 'A procedure can do it: see CREATE PROCEDURE and CALL.',
      })
    const isLast = i === nodes.length - 1
    const ready = prepareStatement(session, row, statement, types, isLast ? returns : undefined)
    const { query } = ready.prepared
    if (row.volatility !== 'v' && (query.command !== 'select' || ready.prepared.planned.writes.length > 0))
      throw sqlError(
        '0A000',
        `${query.command === 'select' ? 'SELECT FOR UPDATE/SHARE' : query.command.toUpperCase()} is not allowed in a non-volatile function`,
      )
    if (isLast) ({ result } = ready)
    return { statement, prepared: ready.prepared }
  })
  if (nodes.length === 0) bindRoutineResult(routineContext(session, row, source, types), row, types, returns, undefined)
  const routine: Routine = {
    row,
    catalogVersion: catalog.version,
    settingsEpoch: session.settings.epoch,
    path: searchPath,
    statements,
    result,
  }
  if (all.size >= KEPT_MAX) all.clear()
  all.set(key, routine)
  return routine
}

const words = (tag: string): string =>
  tag
    .replace(/^CreateStmt$/, 'CreateTable')
    .replace(/Stmt$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()

// ── Functions ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The function's values; pauses among them when it returns a set. */
export function* runFunction(
  session: Backend,
  fn: Oid,
  call: CallInfo,
  args: readonly Value[],
): Generator<Value, void, undefined> {
  const row = session.catalog.function(fn)
  if (row === undefined) throw sqlError('XX000', `cache lookup failed for function ${fn}`)
  checkExecute(session, row)
  const declared = row.argTypes
  const types = declared.map((type, i) => (isConcrete(session, type) ? type : (call.argTypes[i] ?? type)))
  const returns = isConcrete(session, row.returnType) ? row.returnType : call.returnType
  const inside = scopeOf(session, row)
  let at = 0
  try {
    const routine = inside(() => routineOf(session, row, types, returns))
    const { statements, result } = routine
    for (const { prepared } of statements) {
      at++
      const isLast = at === statements.length
      for (const step of statementSteps(session, row, prepared, args, inside)) {
        if (step instanceof Pause) {
          if (row.returnsSet) yield step as unknown as Value
          else if (step.promise !== undefined) throw new Suspend(step.promise, 'Lock')
          continue
        }
        if (!isLast || result.kind === 'void') continue
        for (const values of step) {
          yield resultOf(result, values, call)
          if (!row.returnsSet && prepared.query.command === 'select') return
        }
      }
    }
    if (result.kind === 'void' && !row.returnsSet) yield VOID
  } catch (error) {
    throw within(error, `SQL function "${row.name}" ${at === 0 ? 'during startup' : `statement ${at}`}`)
  }
}
/** What a function that returns void gives when it is asked for a value. */
const VOID = null

const isConcrete = (session: Backend, type: Oid): boolean =>
  session.catalog.typeRow(type)?.kind !== 'p' || type === RECORD || type === VOID_TYPE
const RECORD = 2249
const VOID_TYPE = 2278

function resultOf(result: RoutineResult, values: Row, call: CallInfo): Value {
  if (result.kind !== 'row') return values[0] ?? null
  const columns = call.columns
  if (columns !== undefined) checkColumns(columns, result.types)
  return new RecordValue(values, result.types, result.names)
}
/** A column definition list says what the function gives. */
function checkColumns(columns: NonNullable<CallInfo['columns']>, types: readonly Oid[]): void {
  if (columns.length === types.length && columns.every((column, i) => column.type === types[i])) return
  const detail =
    columns.length < types.length
      ? 'Final statement returns too many columns.'
      : columns.length > types.length
        ? 'Final statement returns too few columns.'
        : 'Final statement returns other types than the column definition list has.'
  throw sqlError('42P13', 'return type mismatch in function declared to return record', { detail })
}

type Inside = <T>(work: () => T) => T

/** Runs something as the function does: as its owner, with its settings. */
function scopeOf(session: Backend, row: FunctionRow): Inside {
  const config = row.config ?? []
  if (!row.securityDefiner && config.length === 0) return (work) => work()
  return (work) => {
    const user = session.userOid
    const mark = session.settings.mark()
    try {
      for (const setting of config) {
        const equals = setting.indexOf('=')
        session.settings.set(setting.slice(0, equals), setting.slice(equals + 1), true, true)
      }
      if (row.securityDefiner) session.userOid = row.owner
      return work()
    } finally {
      session.userOid = user
      session.settings.undoTo(mark)
    }
  }
}

/** One statement of a function, in steps; each runs inside the calling statement. */
function* statementSteps(
  session: Backend,
  row: FunctionRow,
  prepared: PreparedQuery,
  args: readonly Value[],
  inside: Inside,
): Generator<Pause | readonly Row[], void, undefined> {
  const { planned, operator } = prepared
  const txn = session.transaction.ensure()
  if (!txn.hasBegun) txn.beginStatement()
  if (planned.writes.length > 0 && session.transaction.readOnly) session.requireWritable(planned.command.toUpperCase())
  for (const table of planned.writes) {
    const granted = txn.lockTarget(`relation ${table}`, 'row-exclusive', 'wait')
    if (granted instanceof Promise) yield new Pause(granted)
  }
  for (const table of planned.reads) {
    if (table < FIRST_USER_OID || (session.kv.lockedObjects === 0 && session.transaction.block !== 'block')) continue
    const granted = txn.lockTarget(`relation ${table}`, 'access-share', 'wait')
    if (granted instanceof Promise) yield new Pause(granted)
  }
  const x = session.runner.newExecution(txn, planned.outerSlots, args)
  const steps = runPlan(operator, x)
  const before = txn.written
  /** From where this statement's own writes are hidden from it, between its steps. */
  let hidden: number | undefined
  const next = (): IteratorResult<Pause | readonly Row[], void> => {
    if (row.volatility !== 'v') return steps.next()
    const outer = txn.hideFrom(hidden)
    try {
      return steps.next()
    } finally {
      hidden = txn.hideFrom(outer ?? (txn.written > before ? before : undefined))
    }
  }
  try {
    for (;;) {
      const step = inside(next)
      if (step.done) return
      yield step.value
    }
  } finally {
    steps.return(undefined)
  }
}
const FIRST_USER_OID = 16384

function checkExecute(session: Backend, row: FunctionRow): void {
  const object = securable(session.catalog, 'function', row.oid)
  if (object !== undefined && !allows(session.catalog, session.userOid, object, 'X'))
    throw sqlError('42501', `permission denied for ${row.kind === 'p' ? 'procedure' : 'function'} ${row.name}`)
}

/** The error with one more line of where it happened. Its position is of the body, which the client has not sent. */
function within(thrown: unknown, where: string): unknown {
  if (thrown instanceof Suspend) return thrown
  const error = toSqlError(thrown)
  if (!(error instanceof SqlError)) return thrown
  const { context } = error.fields
  error.fields = {
    ...error.fields,
    position: undefined,
    context: context === undefined ? where : `${context}\n${where}`,
  }
  return error
}

// ── Procedures ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Runs a procedure's statements; gives the values of its OUT parameters. */
export async function runProcedure(
  session: Backend,
  row: FunctionRow,
  args: readonly Value[],
): Promise<Row | undefined> {
  checkExecute(session, row)
  const types = row.argTypes
  const inside = scopeOf(session, row)
  const { nodes, source } = bodyStatements(row.body!)
  let out: Row | undefined
  let at = 0
  try {
    for (const node of nodes) {
      at++
      checkStatement(node)
      const isLast = at === nodes.length
      const statement = makeStatement(node, source, source, types)
      const rows: Row[] = []
      const sink: Sink = { ...silentSink(session), row: (values) => void rows.push([...values]) }
      session.transaction.refreshCatalog()
      if (!isQueryNode(statement.node)) {
        // A utility statement begins within the scope and may go on outside of it only where none was asked for.
        if (row.securityDefiner || (row.config?.length ?? 0) > 0)
          throw notSupported(`${words(statement.tag)} in a procedure with SECURITY DEFINER or SET`)
        await session.runner.runStatement(statement, [], sink, true)
        continue
      }
      const ready = inside(() => prepareStatement(session, row, statement, types, isLast ? row.returnType : undefined))
      await inside(() => session.runner.runQuery(statement, ready.prepared, args, sink, false))
      if (isLast && ready.result.kind === 'row') out = rows[0] ?? ready.result.types.map(() => null)
      else if (isLast && ready.result.kind === 'value') out = rows[0] ?? [null]
    }
  } catch (error) {
    throw within(error, `SQL function "${row.name}" statement ${at}`)
  }
  return out
}
