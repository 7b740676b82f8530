/**
 * SQL cursors: DECLARE, FETCH, MOVE, CLOSE (PostgreSQL 15 manual, SQL commands). A cursor is a portal, in the same name
 * space as the protocol's. It shows the data as of its DECLARE:
 *
 *   one scan of rows, streamed   the scan is opened by DECLARE and keeps its snapshot; FETCH reads on
 *   more than that               run whole by DECLARE, its rows kept (in memory up to work_mem, then in a file): also what
 *                                gets rows as an index names them, and what scans in a loop
 *
 * A cursor that may move backwards keeps the rows it has read. WITH HOLD reads the rest when its transaction commits.
 */
import type { DeclareCursorStmt, FetchDirection, FetchStmt } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import type { Catalog } from '../../catalog/catalog.ts'
import { compileEnv, compilePlan } from '../../executor/executor.ts'
import type { MutableRow } from '../../executor/operator.ts'
import { inputsOf } from '../../executor/plan-walk.ts'
import { RowStore } from '../../executor/store.ts'
import type { Plan } from '../../plan/plan.ts'
import { subplansOf } from '../../planner/explain.ts'
import { sqlError } from '../../types/error.ts'
import type { Row } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { clockMicros } from '../call-context.ts'
import { type KeyColumn, withRowKeys } from '../current-row.ts'
import { type CursorState, newPortal, type Portal } from '../portal.ts'
import type { Field, Format, MaybePromise, Sink } from '../session.ts'
import { isQueryNode, type PreparedQuery, planOnly, type Statement } from '../statement.ts'
import type { Marked } from '../transaction.ts'
import { define, type UtilityCall } from '../utility.ts'
import { innerQuery, rowSink } from './query.ts'

const OPTION = { binary: 1, scroll: 2, noScroll: 4, hold: 32 } as const
const PIECE = 1024 // rows read at once: the client's pace is asked for in between

export function registerCursors(): void {
  define('DeclareCursorStmt', declare)
  define('FetchStmt', fetch, (session, node) => (node.ismove ? undefined : cursorOf(session, node.portalname!).fields))
  define('ClosePortalStmt', (session, node) => {
    if (node.portalname === undefined || node.portalname === '') {
      for (const portal of [...session.portals.values()])
        if (portal.name !== '') session.extended.closePortalNow(portal)
      return 'CLOSE CURSOR ALL'
    }
    session.extended.closePortalNow(cursorOf(session, node.portalname))
    return 'CLOSE CURSOR'
  })
}

function cursorOf(session: Backend, name: string): Portal {
  const portal = session.portals.get(name)
  if (portal === undefined) throw sqlError('34000', `cursor "${name}" does not exist`)
  return portal
}

// ── DECLARE ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Closes the cursors of a savepoint that is rolled back to. */
class Cursors implements Marked {
  last = 0
  readonly #session: Backend
  constructor(session: Backend) {
    this.#session = session
    session.transaction.marked.push(this)
  }
  mark(): number {
    return this.last
  }
  undoTo(mark: number): void {
    for (const portal of [...this.#session.portals.values()]) {
      const { cursor } = portal
      if (cursor !== undefined && !cursor.held && cursor.sequence > mark) this.#session.extended.closePortalNow(portal)
    }
  }
}
const declared = new WeakMap<Backend, Cursors>()
function cursorsOf(session: Backend): Cursors {
  let cursors = declared.get(session)
  if (cursors === undefined) declared.set(session, (cursors = new Cursors(session)))
  return cursors
}

function declare(
  session: Backend,
  node: DeclareCursorStmt,
  call: UtilityCall,
  statement: Statement,
): MaybePromise<string> {
  const name = node.portalname!
  const options = node.options ?? 0
  const has = (option: keyof typeof OPTION): boolean => (options & OPTION[option]) !== 0
  if (has('scroll') && has('noScroll')) throw sqlError('42P11', 'cannot specify both SCROLL and NO SCROLL')
  const hold = has('hold')
  if (!hold && !session.transaction.inBlock && !call.several)
    throw sqlError('25P01', 'DECLARE CURSOR can only be used in transaction blocks')
  if (session.portals.has(name)) throw sqlError('42P03', `cursor "${name}" already exists`)
  const inner = innerQuery(session, statement, node.query!, call.parameters)
  const { parameters } = inner
  const { prepared, keys } = keyed(session, inner.prepared)
  const { plan } = prepared.planned
  if (modifies(plan)) throw sqlError('0A000', 'DECLARE CURSOR must not contain data-modifying statements in WITH')
  const strength = prepared.query.rowLocks[0]?.strength
  if (strength !== undefined) {
    const clause = LOCK_CLAUSES[strength]
    if (hold)
      throw sqlError('0A000', `DECLARE CURSOR WITH HOLD ... ${clause} is not supported`, {
        detail: 'Holdable cursors must be READ ONLY.',
      })
    if (has('scroll'))
      throw sqlError('0A000', `DECLARE SCROLL CURSOR ... ${clause} is not supported`, {
        detail: 'Scrollable cursors must be READ ONLY.',
      })
  }
  const cursor: CursorState = {
    hold,
    held: false,
    scroll: has('scroll') || (!has('noScroll') && strength === undefined && scansBackwards(plan)),
    binary: has('binary'),
    rows: undefined,
    dropped: 0,
    failed: false,
    complete: false,
    count: 0,
    position: 0,
    keys,
    last: undefined,
    sequence: ++cursorsOf(session).last,
    createdAt: clockMicros(),
    definition: statement.text,
  }
  const formats: readonly Format[] = cursor.binary ? [1] : []
  const portal: Portal = { ...newPortal(name, statement, parameters, formats, prepared), cursor }
  session.portals.set(name, portal)
  if (hold) {
    session.hooks.beforeCommit.push(() =>
      session.portals.get(name) === portal ? holdRows(session, portal, call.sink) : undefined,
    )
  }
  const opened = async (): Promise<string> => {
    try {
      const opens = scans(plan, session.catalog)
      if (opens === 1) await openScans(session, portal, call.sink)
      else if (opens > 1) await readAll(session, portal, call.sink)
    } catch (error) {
      session.extended.closePortalNow(portal)
      throw error
    }
    return 'DECLARE CURSOR'
  }
  return opened()
}

/** With the rows' keys behind the columns, where WHERE CURRENT OF could ask for them. */
function keyed(
  session: Backend,
  prepared: PreparedQuery,
): { readonly prepared: PreparedQuery; readonly keys: readonly KeyColumn[] } {
  const found = withRowKeys(prepared.query, session.catalog)
  if (found === undefined) return { prepared, keys: [] }
  const planned = planOnly(session, found.query)
  const operator = compilePlan(planned.plan, compileEnv(session.catalog, 'often'))
  return { prepared: { ...prepared, planned, operator, point: undefined }, keys: found.keys }
}

const LOCK_CLAUSES = {
  update: 'FOR UPDATE',
  'no-key-update': 'FOR NO KEY UPDATE',
  share: 'FOR SHARE',
  'key-share': 'FOR KEY SHARE',
} as const

const below = (plan: Plan): readonly Plan[] => [...inputsOf(plan), ...subplansOf(plan).map((subplan) => subplan.plan)]
const modifies = (plan: Plan): boolean =>
  plan.kind === 'insert' ||
  plan.kind === 'update' ||
  plan.kind === 'delete' ||
  plan.kind === 'merge' ||
  below(plan).some(modifies)

/**
 * How often a plan looks into what is stored, once it has begun: 1 is one scan, which keeps what it saw when it was opened; 2
 * is more than once, also in a loop, and by keys that an index names on the way.
 */
function scans(plan: Plan, catalog: Catalog): number {
  const inside = below(plan).reduce((sum, input) => sum + scans(input, catalog), 0)
  switch (plan.kind) {
    case 'seq-scan':
      return 1 + inside
    case 'index-scan':
      return (holdsRows(plan.index, catalog) && !plan.bounds.equal.some((each) => each.kind === 'any') ? 1 : 2) + inside
    case 'vector-scan':
    case 'virtual-scan':
    case 'lock-rows':
      return 2
    case 'nested-loop':
      return scans(plan.inner, catalog) > 0 ? 2 : inside
    case 'recursive-union':
      return scans(plan.step, catalog) > 0 ? 2 : inside
    default:
      return inside > 0 && subplansOf(plan).length > 0 ? 2 : inside
  }
}

const holdsRows = (index: Oid, catalog: Catalog): boolean => catalog.relation(index)?.index?.clustered === true

/** Plans that PostgreSQL can run backwards (ExecSupportsBackwardScan): their cursors scroll without being asked to. */
function scansBackwards(plan: Plan): boolean {
  switch (plan.kind) {
    case 'seq-scan':
    case 'index-scan':
    case 'virtual-scan':
    case 'function-scan':
    case 'values':
    case 'cte-scan':
    case 'sort':
    case 'materialize':
      return true
    case 'append':
      return plan.inputs.every(scansBackwards)
    case 'filter':
    case 'project':
    case 'limit':
      return scansBackwards(plan.input)
    case 'with':
      return scansBackwards(plan.body)
    default:
      return false
  }
}

/** Reads the first batch, so that the scan is open, and gives nothing of it yet. */
async function openScans(session: Backend, portal: Portal, sink: Sink): Promise<void> {
  let rows = 0
  await session.runner.runPortal(
    portal,
    1,
    rowSink(sink, () => rows++),
  )
  portal.pendingAt -= rows
  portal.sent -= rows
}

// ── Rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows of an execution of its own, so that they outlive the one that made them. */
function newStore(session: Backend): RowStore {
  return new RowStore(session.runner.newExecution(session.transaction.ensure(), 0, []))
}

/** Reads up to `count` further rows from the plan, fewer when it has no more; keeps them when the cursor has a store. */
async function pull(
  session: Backend,
  portal: Portal,
  cursor: CursorState,
  count: number,
  sink: Sink,
): Promise<MutableRow[]> {
  const batch: MutableRow[] = []
  if (cursor.complete) return batch
  const tag = await session.runner.runPortal(
    portal,
    count,
    rowSink(sink, (row) => batch.push(row.slice())),
  )
  if (tag !== undefined) cursor.complete = true
  cursor.count += batch.length
  if (batch.length > 0 && cursor.keys.length > 0) cursor.last = batch[batch.length - 1]
  if (cursor.scroll) cursor.rows ??= newStore(session)
  if (batch.length > 0) cursor.rows?.add(batch.slice())
  return batch
}

/** Everything that is left, into the store. */
async function readAll(session: Backend, portal: Portal, sink: Sink): Promise<void> {
  const cursor = portal.cursor!
  if (cursor.rows === undefined) {
    cursor.rows = newStore(session)
    cursor.dropped = cursor.count
  }
  while (!cursor.complete) await pull(session, portal, cursor, PIECE, sink)
}

/** At commit: the rest is kept without the transaction. */
async function holdRows(session: Backend, portal: Portal, sink: Sink): Promise<void> {
  await readAll(session, portal, sink)
  portal.execution = undefined
  portal.steps = undefined
  portal.pending = []
  portal.done = true
  portal.cursor!.held = true
}

/** Rows from..to (from 1, both inclusive) out of the store. */
function* stored(cursor: CursorState, from: number, to: number): Generator<Row, void, undefined> {
  let at = cursor.dropped
  if (cursor.rows === undefined) return
  for (const batch of cursor.rows.batches()) {
    if (at + batch.length < from) {
      at += batch.length
      continue
    }
    for (const row of batch) {
      at++
      if (at > to) return
      if (at >= from) yield row
    }
  }
}

// ── FETCH ────────────────────────────────────────────────────────────────────────────────────────────────────────

const ALL = Number.MAX_SAFE_INTEGER

async function fetch(session: Backend, node: FetchStmt, call: UtilityCall): Promise<string> {
  const portal = cursorOf(session, node.portalname!)
  if (portal.cursor === undefined) {
    if (!isQueryNode(portal.statement.node)) throw sqlError('55000', `portal "${portal.name}" cannot be run`)
    portal.cursor = {
      hold: false,
      held: false,
      scroll: false,
      binary: false,
      rows: undefined,
      dropped: 0,
      failed: false,
      complete: portal.done,
      count: portal.sent,
      position: portal.sent,
      keys: [],
      last: undefined,
      sequence: 0,
      createdAt: clockMicros(),
      definition: portal.statement.text,
    }
  }
  if (portal.cursor.failed) throw sqlError('55000', `portal "${portal.name}" cannot be run`)
  const isMove = node.ismove === true
  if (!isMove && call.simple) call.sink.fields(portal.fields ?? ([] as Field[]), portal.cursor.binary ? [1] : [])
  const reader = new Reader(session, portal, portal.cursor, call.sink, isMove)
  const asked = Number(node.howMany ?? 0)
  try {
    const moved = await reader.go(
      node.direction ?? 'FETCH_FORWARD',
      Math.abs(asked) > 9e15 ? Math.sign(asked) * ALL : asked,
    )
    return `${isMove ? 'MOVE' : 'FETCH'} ${moved}`
  } catch (error) {
    portal.cursor.failed = true
    throw error
  }
}

/** One FETCH or MOVE; each method gives the number of rows passed. */
class Reader {
  readonly #session: Backend
  readonly #portal: Portal
  readonly #cursor: CursorState
  readonly #sink: Sink
  readonly #silent: boolean
  constructor(session: Backend, portal: Portal, cursor: CursorState, sink: Sink, silent: boolean) {
    this.#session = session
    this.#portal = portal
    this.#cursor = cursor
    this.#sink = sink
    this.#silent = silent
  }

  go(direction: FetchDirection, asked: number): Promise<number> {
    switch (direction) {
      case 'FETCH_FORWARD':
        return asked === 0 ? this.#again() : asked > 0 ? this.#forward(asked, this.#silent) : this.#backward(-asked)
      case 'FETCH_BACKWARD':
        return asked === 0 ? this.#again() : asked > 0 ? this.#backward(asked) : this.#forward(-asked, this.#silent)
      case 'FETCH_ABSOLUTE':
        return this.#absolute(asked)
      case 'FETCH_RELATIVE':
        return asked === 0 ? this.#again() : this.#relative(asked)
    }
  }

  #needScroll(): void {
    if (!this.#cursor.scroll)
      throw sqlError('55000', 'cursor can only scan forward', {
        hint: 'Declare it with SCROLL option to enable backward scan.',
      })
  }
  /** How many rows there are, as far as it is known. */
  get #onRow(): boolean {
    const { position, complete, count } = this.#cursor
    return position > 0 && !(complete && position > count)
  }

  async #emit(rows: Iterable<Row>, silent: boolean): Promise<number> {
    let sent = 0
    const hidden = this.#cursor.keys.length
    for (const row of rows) {
      sent++
      if (silent) continue
      this.#sink.row(hidden > 0 ? row.slice(0, row.length - hidden) : row)
      if (sent % PIECE === 0) {
        const slow = this.#sink.flow()
        if (slow !== undefined) await this.#session.waits.interruptible(slow, 'Client')
      }
    }
    return sent
  }

  async #forward(asked: number, silent: boolean): Promise<number> {
    const cursor = this.#cursor
    let left = asked
    let passed = 0
    // What was read before, if it is kept.
    if (cursor.position < cursor.count && left > 0) {
      const to = Math.min(cursor.count, cursor.position + left)
      const sent = await this.#emit(stored(cursor, cursor.position + 1, to), silent)
      cursor.position += sent
      passed += sent
      left -= sent
    }
    while (left > 0 && !cursor.complete) {
      const batch = await pull(this.#session, this.#portal, cursor, Math.min(left, PIECE), this.#sink)
      await this.#emit(batch, silent)
      cursor.position += batch.length
      passed += batch.length
      left -= batch.length
      if (batch.length > 0 && !silent) {
        const slow = this.#sink.flow()
        if (slow !== undefined) await this.#session.waits.interruptible(slow, 'Client')
      }
    }
    if (left > 0) cursor.position = cursor.count + 1
    return passed
  }

  async #backward(asked: number): Promise<number> {
    const cursor = this.#cursor
    if (cursor.position === 0) return 0
    this.#needScroll()
    const to = cursor.position - 1
    const from = Math.max(1, cursor.position - asked)
    cursor.position = Math.max(0, cursor.position - asked)
    if (this.#silent) return Math.max(0, to - from + 1)
    // From the end of the range to its beginning, in pieces: each is read from the start of the store.
    let passed = 0
    for (let last = to; last >= from; last -= 64 * PIECE) {
      const rows = [...stored(cursor, Math.max(from, last - 64 * PIECE + 1), last)].reverse()
      passed += await this.#emit(rows, false)
    }
    return passed
  }

  /** The row it stands on once more. */
  async #again(): Promise<number> {
    if (!this.#onRow) return 0
    if (this.#silent) return 1
    this.#needScroll()
    return this.#emit(stored(this.#cursor, this.#cursor.position, this.#cursor.position), false)
  }

  async #absolute(asked: number): Promise<number> {
    const cursor = this.#cursor
    if (asked < 0) {
      await this.#forward(ALL, true)
      this.#needScroll()
      return this.#stand(cursor.count + 1 + asked)
    }
    if (asked === 0) {
      if (cursor.position > 0) this.#needScroll()
      cursor.position = 0
      return 0
    }
    return this.#stand(asked)
  }

  async #relative(asked: number): Promise<number> {
    return this.#stand(this.#cursor.position + asked)
  }

  /** Moves onto one row and gives it. */
  async #stand(target: number): Promise<number> {
    const cursor = this.#cursor
    if (target > cursor.position) {
      const skip = target - cursor.position - 1
      if (skip > 0 && (await this.#forward(skip, true)) < skip) {
        cursor.position = cursor.count + 1
        return 0
      }
      return this.#forward(1, this.#silent)
    }
    this.#needScroll()
    if (target < 1) {
      cursor.position = 0
      return 0
    }
    cursor.position = target
    if (this.#silent) return 1
    return this.#emit(stored(cursor, target, target), false)
  }
}

/** Rows of pg_cursors. */
export function cursorRows(session: Backend): Row[] {
  return [...session.portals.values()]
    .filter((portal) => portal.name !== '')
    .map((portal) => [
      portal.name,
      portal.cursor?.definition ?? portal.statement.text,
      portal.cursor?.hold ?? false,
      portal.cursor?.binary ?? false,
      portal.cursor?.scroll ?? false,
      portal.cursor?.createdAt ?? portal.execution?.context.statementTimestamp ?? 0,
    ])
}
