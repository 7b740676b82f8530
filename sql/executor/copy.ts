/**
 * Loading many rows: what COPY FROM does with the values it has read. Columns that are not listed take their defaults; all
 * that INSERT checks is checked here, a batch of about a thousand rows at a time.
 *
 *     const load = createBulkInserter(table, x, env, columns)
 *     for each batch: yield* load.insert(rows)              an error is about row `load.at` of the batch
 *     yield* load.finish()                                  foreign keys within the table, late unique constraints
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import { domainDefault } from '../catalog/domains.ts'
import type { Expression } from '../plan/expression.ts'
import type { Row, Value } from '../types/value.ts'
import { compilePredicate, compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { insertRows, type Progress } from './insert.ts'
import { EVENTS_MAX, ForeignQueue } from './modify-foreign.ts'
import type { TableRun } from './modify-rows.ts'
import { overRow } from './modify-table.ts'
import type { Execution, MutableRow, Pause, RowBatch } from './operator.ts'

export interface BulkOptions {
  /** Attribute numbers of the values in each row; absent: all live columns (generated ones NULL), in order. */
  readonly columns?: readonly number[]
  /** COPY … WHERE: over vars of relation 0. */
  readonly where?: Expression
}

export function createBulkInserter(
  table: RelationRow,
  x: Execution,
  env: CompileEnv,
  options: BulkOptions = {},
): BulkInserter {
  return new BulkInserter(table, x, env.mode === 'often' ? env : { ...env, mode: 'often' }, options)
}

export class BulkInserter implements Progress {
  /** Position in the last batch of the row at work. */
  at = 0
  readonly #x: Execution
  readonly #table: RelationRow
  readonly #queue: ForeignQueue
  readonly #run: TableRun
  readonly #fill: ((given: Row) => MutableRow) | undefined
  readonly #where: ((row: Row) => boolean) | undefined

  constructor(table: RelationRow, x: Execution, env: CompileEnv, { columns, where }: BulkOptions) {
    this.#x = x
    this.#table = table
    this.#queue = new ForeignQueue(x, env)
    this.#run = this.#queue.table(table)
    this.#fill = filler(table, x, env, columns)
    this.#where = where && compilePredicate(overRow(where, table), env).bind(x)
  }

  /** Takes the rows over. Answers how many went in (all that WHERE lets in). */
  *insert(rows: RowBatch): Generator<Pause, number, undefined> {
    let whole = rows
    if (this.#fill !== undefined) {
      whole = []
      for (this.at = 0; this.at < rows.length; this.at++) whole.push(this.#fill(rows[this.at]!))
    }
    let places: number[] | undefined
    if (this.#where !== undefined) {
      const kept: RowBatch = []
      places = []
      for (this.at = 0; this.at < whole.length; this.at++) {
        if (!this.#where(whole[this.at]!)) continue
        kept.push(whole[this.at]!)
        places.push(this.at)
      }
      whole = kept
    }
    if (whole.length === 0) return 0
    const progress: Progress = places === undefined ? this : { at: 0 }
    try {
      yield* insertRows(this.#run, whole, this.#x, progress)
    } finally {
      if (places !== undefined) this.at = places[progress.at]!
    }
    this.#x.affected += whole.length
    if (this.#queue.pending >= EVENTS_MAX) yield* this.#queue.early(this.#table)
    return whole.length
  }

  *finish(): Generator<Pause, void, undefined> {
    yield* this.#queue.finish()
  }
}

/** A row of live columns from the given values and the other columns' defaults; undefined when the values are that already. */
function filler(
  table: RelationRow,
  x: Execution,
  env: CompileEnv,
  columns: readonly number[] | undefined,
): ((given: Row) => MutableRow) | undefined {
  const live = table.columns.filter((column) => !column.dropped)
  if (
    columns === undefined ||
    (columns.length === live.length && live.every((column, i) => column.number === columns[i]))
  )
    return undefined
  const from = live.map((column) => columns.indexOf(column.number))
  const defaults = live.map((column, i) => {
    if (from[i]! >= 0 || column.generated !== undefined) return undefined
    const value = column.default ?? domainDefault(env.catalog, column.type)
    return value && compileValue(value, env).bind(x)
  })
  invariant(from.filter((at) => at >= 0).length === columns.length, 'every given column is one of the table')
  return (given) => {
    const row: Value[] = []
    for (let i = 0; i < from.length; i++) {
      const at = from[i]!
      row.push(at >= 0 ? given[at]! : (defaults[i]?.(NO_ROW) ?? null))
    }
    return row
  }
}
const NO_ROW: Row = []
