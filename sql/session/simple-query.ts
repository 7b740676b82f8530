/**
 * The simple protocol: one string with any number of statements. A single statement whose literals can be lifted out shares
 * its plan with every other that differs in them alone; several statements share one implicit transaction.
 */
import { type ParsedStatement, parse } from '../parser/parser.ts'
import type { Value } from '../types/value.ts'
import type { Backend } from './backend.ts'
import { type Lifted, shapeOf } from './lift.ts'
import type { MaybePromise, Sink } from './session.ts'
import { makeStatement, type PreparedQuery, prepareQuery, type Statement, variantFor } from './statement.ts'

/** Statements that end the implicit transaction wherever they stand in the string. */
const IMPLICIT_END = new Set(['TransactionStmt'])

export class SimpleQuery {
  readonly #session: Backend

  constructor(session: Backend) {
    this.#session = session
  }

  query(sql: string, sink: Sink): MaybePromise<void> {
    this.#session.begin(sql, sink)
    return this.#session.guard(() => {
      this.#session.prepared.delete('')
      const { cache } = this.#session.path()
      const shape = shapeOf(sql)
      const lifted = shape === undefined ? undefined : cache.shapes.find(shape)
      if (lifted !== undefined) return this.#runLifted(lifted, sql, sink)
      const known = cache.simple.get(sql)
      if (known !== undefined) return this.#only(known, sink)
      const parsed = parse(sql)
      if (shape !== undefined && !(parsed instanceof Promise) && parsed.length === 1) {
        const made = cache.shapes.lift(shape, parsed[0]!.node, sql)
        if (made !== undefined) return this.#runLifted(made, sql, sink)
      }
      return parsed instanceof Promise
        ? parsed.then((list) => this.#several(sql, list, sink))
        : this.#several(sql, parsed, sink)
    })
  }

  #several(sql: string, parsed: readonly ParsedStatement[], sink: Sink): MaybePromise<void> {
    if (parsed.length === 0) {
      sink.emptyQuery()
      return undefined
    }
    if (parsed.length === 1) {
      const statement = makeStatement(parsed[0]!.node, sql, sql, [])
      this.#session.path().cache.keepSimple(sql, statement)
      return this.#only(statement, sink)
    }
    this.#session.severalStatements = true
    const run = (at: number): MaybePromise<void> => {
      for (let i = at; i < parsed.length; i++) {
        const { node, text } = parsed[i]!
        const waiting = this.#runSimple(makeStatement(node, text, sql, []), sink, i === parsed.length - 1)
        if (waiting instanceof Promise) return waiting.then(() => run(i + 1))
      }
      return undefined
    }
    return run(0)
  }

  /** A statement whose literals became parameters. A literal that cannot be read fails as it stands in the text. */
  #runLifted(lifted: Lifted, sql: string, sink: Sink): MaybePromise<void> {
    this.#session.severalStatements = false
    let { statement } = lifted
    this.#session.checkFailed(statement)
    this.#session.ensureTransaction(statement.tag)
    let parameters: Value[] | undefined
    try {
      const prepared = prepareQuery(this.#session, statement, true)
      if (!this.#hasPartialIndex(prepared)) {
        parameters = this.#literalValues(prepared, lifted.values)
        statement = variantFor(this.#session, statement, prepared, parameters)
      }
    } catch (error) {
      // The same error, at the literal's own place; anything else is one of the statement itself.
      if (!(error instanceof Error) || error.name !== 'SqlError') throw error
    }
    if (parameters === undefined) {
      const parsed = parse(sql)
      return parsed instanceof Promise
        ? parsed.then((list) => this.#several(sql, list, sink))
        : this.#several(sql, parsed, sink)
    }
    return this.#runSimpleWith(statement, parameters, sink, true)
  }

  /** Conditions with constants may match a partial index; with parameters they cannot. */
  #hasPartialIndex(prepared: PreparedQuery): boolean {
    for (const table of prepared.relationsUsed) {
      for (const index of this.#session.catalog.relation(table)?.indexes ?? [])
        if (this.#session.catalog.relation(index)?.index?.predicate !== undefined) return true
    }
    return false
  }

  #literalValues(prepared: PreparedQuery, values: readonly Value[]): Value[] {
    const result: Value[] = []
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      result.push(
        typeof value === 'string'
          ? this.#session.catalog.type(prepared.parameterTypes[i]!).input(value, -1, this.#session.context)
          : value,
      )
    }
    return result
  }

  #only(statement: Statement, sink: Sink): MaybePromise<void> {
    this.#session.severalStatements = false
    return this.#runSimple(statement, sink, true)
  }

  /** One statement of a simple Query; the last one's implicit transaction is committed before its tag is sent. */
  #runSimple(statement: Statement, sink: Sink, last: boolean): MaybePromise<void> {
    return this.#runSimpleWith(statement, [], sink, last)
  }
  #runSimpleWith(statement: Statement, parameters: readonly Value[], sink: Sink, last: boolean): MaybePromise<void> {
    this.#session.startTimeout()
    const finish = (tag: string): MaybePromise<void> => {
      if (last || IMPLICIT_END.has(statement.tag)) {
        const waiting = this.#endImplicit()
        if (waiting !== undefined) return waiting.then(() => sink.commandComplete(tag))
      }
      sink.commandComplete(tag)
      return undefined
    }
    const tag = this.#session.runner.runStatement(statement, parameters, sink, true)
    return tag instanceof Promise ? tag.then(finish) : finish(tag)
  }

  #endImplicit(): Promise<void> | undefined {
    return this.#session.transaction.block === 'implicit' ? this.#session.transaction.commit() : undefined
  }
}
