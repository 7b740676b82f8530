/**
 * Running statements. What only reads streams its rows; what writes runs to its end first, since it may have to be run again:
 *
 *     lock tables → snapshot → steps ─┬─ rows                → sink, as the client takes them
 *                                     ├─ Pause               → wait for its promise, go on
 *                                     ├─ statement-restart   → take the statement back, new snapshot, run again
 *                                     └─ Suspend (pg_sleep)  → wait, run again
 */

import type { Oid } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import { KvError } from '../../storage/range/errors.ts'
import { runPlan } from '../executor/executor.ts'
import { type Execution, type Instrument, Pause, type Steps } from '../executor/operator.ts'
import { RowStore } from '../executor/store.ts'
import { SqlError, sqlError } from '../types/error.ts'
import type { Value } from '../types/value.ts'
import type { Backend } from './backend.ts'
import { currentRow } from './current-row.ts'
import { PointExecution, type PointRead } from './point.ts'
import { newPortal, type Portal } from './portal.ts'
import { crowded, sliceOver, startSlice } from './scheduler.ts'
import type { Format, MaybePromise, Sink } from './session.ts'
import {
  changedResult,
  isQueryNode,
  type PreparedQuery,
  prepareQuery,
  type Statement,
  sameFields,
} from './statement.ts'
import { Suspend, Suspensions, type Wait } from './suspend.ts'

const NO_FORMATS: readonly Format[] = []

/** Class 57: cancelled, or the session ends. */
const isInterrupt = (error: unknown): boolean => error instanceof SqlError && error.code.startsWith('57')

/** What is kept, then the error that it ended with. */
function* keptRows(store: RowStore, failure: { readonly error: unknown } | undefined): Steps {
  const reader = store.reader(true)
  for (let batch = reader.next(); batch !== undefined; batch = reader.next()) yield batch
  store.close()
  if (failure !== undefined) throw failure.error
}

/** Statements whose rows must be held back until they are complete. */
const mayRestart = (prepared: PreparedQuery): boolean => prepared.suspends

export class Runner {
  readonly #session: Backend
  #suspensions = new Suspensions()
  #pointExecution: PointExecution | undefined

  constructor(session: Backend) {
    this.#session = session
  }

  suspend(start: () => unknown, wait: Wait): unknown {
    return this.#suspensions.call(start, wait)
  }

  /** Runs one statement whole; gives its command tag. `simple`: fields are sent before the rows. */
  runStatement(statement: Statement, parameters: readonly Value[], sink: Sink, simple: boolean): MaybePromise<string> {
    this.#session.checkFailed(statement)
    this.#session.ensureTransaction(statement.tag)
    this.#session.transaction.refreshCatalog()
    if (isQueryNode(statement.node)) {
      const prepared = prepareQuery(this.#session, statement, parameters.length > 0)
      if (prepared.parameterTypes.length > parameters.length)
        throw sqlError('42P02', `there is no parameter $${parameters.length + 1}`)
      return this.runQuery(statement, prepared, parameters, sink, simple)
    }
    const utility = this.#session.utility(statement)
    if (utility === undefined)
      throw sqlError(
        '0A000',
        `${statement.tag
          .replace(/Stmt$/, '')
          .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
          .toUpperCase()} is not supported`,
      )
    return utility.run(this.#session, statement, {
      parameters,
      sink,
      simple,
      several: this.#session.severalStatements && simple,
    })
  }

  /** Runs a planned query to its end, rows to the sink. */
  runQuery(
    statement: Statement,
    prepared: PreparedQuery,
    parameters: readonly Value[],
    sink: Sink,
    simple: boolean,
  ): MaybePromise<string> {
    const portal: Portal = newPortal('', statement, parameters, NO_FORMATS, prepared)
    const result = this.runPortal(portal, 0, sink, simple)
    return result as MaybePromise<string>
  }

  /**
   * Gives up to maxRows rows (0: all); the tag when the statement is complete, undefined when there may be more.
   * `announce`: its fields are sent first.
   */
  runPortal(portal: Portal, maxRows: number, sink: Sink, announce = false): MaybePromise<string | undefined> {
    if (portal.execution !== undefined || portal.done) return this.#rows(portal, maxRows, sink)
    // The catalog may have changed between Bind and Execute.
    if (portal.prepared!.catalogVersion !== this.#session.catalog.version) this.#prepareAgain(portal, announce)
    const start = (): MaybePromise<string | undefined> => {
      if (announce && portal.fields !== undefined) sink.fields(portal.fields, NO_FORMATS)
      return this.#startPortal(portal, maxRows, sink)
    }
    const waiting = this.#lockTables(portal.prepared!)
    if (waiting === undefined) return start()
    const waited = (): MaybePromise<string | undefined> => {
      this.#session.transaction.refreshCatalog()
      if (portal.prepared!.catalogVersion === this.#session.catalog.version) return start()
      // Whoever held the lock has changed something: perhaps other tables are meant now, or other columns.
      this.#prepareAgain(portal, announce)
      const more = this.#lockTables(portal.prepared!)
      return more === undefined ? start() : more.then(waited)
    }
    return waiting.then(waited)
  }

  #prepareAgain(portal: Portal, announce: boolean): void {
    const { again, fields } = portal.prepared!
    if (again === undefined && portal.statement.prepared === undefined) return
    const prepared = again?.() ?? prepareQuery(this.#session, portal.statement, true)
    if (!announce && again === undefined && !sameFields(prepared.fields, fields)) throw changedResult()
    portal.prepared = prepared
    portal.fields = prepared.fields
  }

  /**
   * A suspended portal goes on with what it would have read when it was begun: the rest of its rows is read before another
   * statement takes a snapshot, or writes. Cursors of DECLARE see to that themselves.
   */
  #keepSuspended(next: Portal): Promise<void> | undefined {
    for (const portal of this.#session.portals.values()) {
      const { steps, done, kept, cursor } = portal
      if (portal !== next && steps !== undefined && !done && kept === undefined && cursor === undefined)
        return this.#keepRest(portal, steps).then(() => this.#keepSuspended(next))
    }
    return undefined
  }

  async #keepRest(portal: Portal, steps: Steps): Promise<void> {
    const store = (portal.kept = new RowStore(portal.execution!))
    let failure: { readonly error: unknown } | undefined
    try {
      for (let step = steps.next(); !step.done; step = steps.next()) {
        if (step.value instanceof Pause) await this.#session.waits.pause(step.value)
        else store.add(step.value)
      }
    } catch (error) {
      steps.return(undefined)
      if (isInterrupt(error)) throw error
      failure = { error }
    }
    portal.steps = keptRows(store, failure)
  }

  #startPortal(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    const keeping = this.#keepSuspended(portal)
    return keeping === undefined
      ? this.#beginPortal(portal, maxRows, sink)
      : keeping.then(() => this.#beginPortal(portal, maxRows, sink))
  }

  #beginPortal(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    const { planned, unpopulated } = portal.prepared!
    if (unpopulated !== undefined)
      throw sqlError('55000', `materialized view "${unpopulated}" has not been populated`, {
        hint: 'Use the REFRESH MATERIALIZED VIEW command.',
      })
    if (planned.writes.length > 0 && this.#session.transaction.readOnly && !this.#onlyTemporary(planned.writes))
      this.#session.requireWritable(planned.command === 'select' ? 'SELECT FOR UPDATE' : planned.command.toUpperCase())
    const { transaction } = this.#session
    this.#session.statementStart = this.#session.queryStart
    const { point } = portal.prepared!
    if (
      point !== undefined &&
      maxRows === 0 &&
      transaction.txn === undefined &&
      transaction.block === 'implicit' &&
      transaction.isolation === 'read-committed' &&
      portal.instruments === undefined
    ) {
      return this.#point(portal, point, sink)
    }
    const txn = transaction.ensure()
    txn.beginStatement()
    this.#suspensions = new Suspensions()
    portal.execution = this.newExecution(txn, planned.outerSlots, portal.parameters, portal.instruments)
    if (planned.writes.length > 0 || mayRestart(portal.prepared!)) return this.#toEnd(portal, maxRows, sink)
    portal.steps = runPlan(portal.prepared!.operator, portal.execution)
    startSlice()
    return this.#rows(portal, maxRows, sink)
  }

  #point(portal: Portal, point: PointRead, sink: Sink): string {
    const x = (this.#pointExecution ??= new PointExecution(this.#session))
    x.parameters = portal.parameters
    portal.done = true
    const row = point(x, x.get)
    if (row === undefined) return 'SELECT 0'
    sink.row(row)
    portal.sent = 1
    return 'SELECT 1'
  }

  newExecution(
    txn: Txn,
    outerSlots: number,
    parameters: readonly Value[],
    instruments?: Map<object, Instrument>,
  ): Execution {
    const session = this.#session
    return {
      txn,
      catalog: this.#session.catalog,
      context: this.#session.context,
      parameters,
      outer: new Array<Value>(outerSlots).fill(null),
      kept: new Map(),
      affected: 0,
      workMemBytes: this.#session.settings.quick.workMemBytes,
      sliceOver(): boolean {
        if (!sliceOver()) return false
        session.checkInterrupts()
        return true
      },
      crowded,
      mayPause: false,
      instruments,
      deferred: this.#session.deferred,
      currentOf: (cursor, table) => currentRow(session.portals, cursor, table, session.catalog),
      vectors: this.#session.server.vectors,
      vectorSettings: this.#session.settings.vector,
    }
  }

  /** Streams rows of a statement that only reads. */
  #rows(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    let left = maxRows === 0 ? Number.POSITIVE_INFINITY : maxRows
    const before = portal.sent
    const emit = (): void => {
      while (portal.pendingAt < portal.pending.length && left > 0) {
        sink.row(portal.pending[portal.pendingAt++]!)
        portal.sent++
        left--
      }
    }
    // A statement that is ended while it waits leaves no scan and no file open.
    const broken = (error: unknown): never => {
      portal.steps?.return(undefined)
      throw error
    }
    const go = (): MaybePromise<string | undefined> => {
      for (;;) {
        emit()
        if (portal.pendingAt < portal.pending.length) return undefined
        if (left <= 0 && maxRows > 0) return undefined
        if (portal.done) return this.#tag(portal, before)
        const step = portal.steps!.next()
        if (step.done) {
          portal.done = true
          return this.#tag(portal, before)
        }
        if (step.value instanceof Pause) return this.#session.waits.pause(step.value).then(go, broken)
        portal.pending = step.value
        portal.pendingAt = 0
        emit()
        const slow = sink.flow()
        if (slow !== undefined) return this.#session.waits.interruptible(slow, 'Client').then(go, broken)
      }
    }
    return go()
  }

  /** Runs a statement that may have to be run again to its end, then gives its rows. */
  #toEnd(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    const mark = this.#session.transaction.statementMark()
    const rows: Portal['pending'] = []
    const start = (): void => {
      rows.length = 0
      portal.instruments?.clear()
      portal.execution = this.newExecution(
        this.#session.transaction.ensure(),
        portal.prepared!.planned.outerSlots,
        portal.parameters,
        portal.instruments,
      )
      portal.steps = runPlan(portal.prepared!.operator, portal.execution)
      this.#suspensions.rewind()
      startSlice()
    }
    const done = (): MaybePromise<string | undefined> => {
      portal.pending = rows
      portal.pendingAt = 0
      portal.done = true
      return this.#rows(portal, maxRows, sink)
    }
    const go = (): MaybePromise<string | undefined> => {
      try {
        for (;;) {
          const step = portal.steps!.next()
          if (step.done) return done()
          if (step.value instanceof Pause) return this.#session.waits.pause(step.value).then(go, again)
          for (const row of step.value) rows.push(row)
        }
      } catch (error) {
        return again(error)
      }
    }
    const again = (error: unknown): MaybePromise<string | undefined> => {
      portal.steps?.return(undefined)
      if (error instanceof Suspend) {
        return this.#session.waits.interruptible(error.promise, error.wait).then(() => {
          this.#session.transaction.ensure().rollbackTo(mark.kv)
          start()
          return go()
        })
      }
      if (error instanceof KvError && error.reason.kind === 'statement-restart') {
        this.#session.transaction.restart(mark)
        start()
        return go()
      }
      throw error
    }
    start()
    return go()
  }

  /** Counts the rows changed, or those given since `before`: a portal that is read in portions says the last one's. */
  #tag(portal: Portal, before: number): string {
    const { command } = portal.prepared!.planned
    const count = portal.fields === undefined ? portal.execution!.affected : portal.sent - before
    return command === 'insert' ? `INSERT 0 ${count}` : `${command.toUpperCase()} ${count}`
  }

  /** A read-only transaction may write temporary tables. */
  #onlyTemporary(tables: readonly Oid[]): boolean {
    return tables.every((table) => this.#session.catalog.relation(table)?.persistence === 't')
  }

  /** Shared locks on the tables of a statement, so that DDL waits for open transactions and they for it. */
  #lockTables(prepared: PreparedQuery): Promise<void> | undefined {
    const { planned } = prepared
    const onlyReads = planned.writes.length === 0
    // A single statement that reads at its snapshot is in nobody's way; it only waits for who has locked a table.
    if (onlyReads && this.#session.transaction.block !== 'block' && this.#session.kv.lockedObjects === 0)
      return undefined
    const txn = this.#session.transaction.ensure()
    const waits: Promise<unknown>[] = []
    for (const table of planned.writes) {
      const granted = txn.lockTarget(
        `relation ${table}`,
        planned.command === 'select' ? 'row-share' : 'row-exclusive',
        'wait',
      )
      if (granted instanceof Promise) waits.push(granted)
    }
    for (const table of planned.reads) {
      if (planned.writes.includes(table) || table < 16384) continue
      const granted = txn.lockTarget(`relation ${table}`, 'access-share', 'wait')
      if (granted instanceof Promise) waits.push(granted)
    }
    if (waits.length === 0) return undefined
    return this.#session.waits.interruptible(Promise.all(waits), 'Lock').then(() => {})
  }
}
