/**
 * A database without its session and DDL: tables made by hand as descriptors, statements bound and planned from SQL, run as
 * a session would (pauses awaited, statements restarted).
 */

import { type BindContext, bind, bindTableExpression, outputColumns } from '../../sql/binder/binder.ts'
import { bootstrapLocal, bootstrapShared, POSTGRES_DATABASE } from '../../sql/catalog/bootstrap.ts'
import type { ColumnRow, ConstraintRow, ForeignKeyAction, IndexKey, RelationRow } from '../../sql/catalog/catalog.ts'
import { nextVersion, type Objects } from '../../sql/catalog/objects.ts'
import { CatalogView } from '../../sql/catalog/view.ts'
import { DeferredChecks } from '../../sql/executor/deferred.ts'
import { constantFold } from '../../sql/executor/evaluate.ts'
import { compileEnv, compilePlan, runPlan } from '../../sql/executor/executor.ts'
import { registerTableOperators } from '../../sql/executor/modify.ts'
import { type Execution, Pause } from '../../sql/executor/operator.ts'
import { parse } from '../../sql/parser/parser.ts'
import type { Expression } from '../../sql/plan/expression.ts'
import type { PlannedStatement } from '../../sql/plan/plan.ts'
import { plan } from '../../sql/planner/planner.ts'
import { PG_CATALOG, PUBLIC } from '../../sql/types/oids.ts'
import type { Row, Value } from '../../sql/types/value.ts'
import { defaultVectorSettings } from '../../sql/vector/settings.ts'
import type { Engine } from '../../storage/engine/engine.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { systemClock } from '../../storage/keys/clock.ts'
import type { Isolation, Kv, Txn } from '../../storage/kv/kv.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { KvError } from '../../storage/range/errors.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { context, execution } from '../executor/fixture.ts'

registerTableOperators()

type ColumnOptions = { readonly notNull?: boolean; readonly default?: string; readonly generated?: string }
export type ColumnDefinition = readonly [name: string, type: string, options?: ColumnOptions]
export interface IndexDefinition {
  readonly name?: string
  /** 'a', 'b desc', 'c nulls first', '(lower(d))'. */
  readonly keys: readonly string[]
  readonly unique?: boolean
  readonly where?: string
  readonly deferrable?: 'deferred' | 'immediate'
  readonly nullsNotDistinct?: boolean
}
export interface ForeignDefinition {
  readonly name?: string
  readonly columns: readonly string[]
  readonly table: string
  readonly references: readonly string[]
  readonly onDelete?: ForeignKeyAction
  readonly onUpdate?: ForeignKeyAction
  readonly match?: 'simple' | 'full'
  readonly deferrable?: 'deferred' | 'immediate'
}
export interface TableDefinition {
  readonly columns: readonly ColumnDefinition[]
  readonly primary?: readonly string[]
  readonly indexes?: readonly IndexDefinition[]
  readonly checks?: Readonly<Record<string, string>>
  readonly foreign?: readonly ForeignDefinition[]
}

export class Database {
  readonly kv: Kv
  readonly engine: Engine
  #local: Objects = bootstrapLocal()
  readonly #shared = bootstrapShared(undefined)
  catalog: CatalogView
  #nextOid = 20000
  #nextStorage = 1

  constructor(kv: Kv, engine: Engine) {
    this.kv = kv
    this.engine = engine
    this.catalog = this.#view()
  }

  #view(): CatalogView {
    return new CatalogView(nextVersion(), POSTGRES_DATABASE, this.#local, this.#shared)
  }

  async close(): Promise<void> {
    await this.kv.close()
    await this.engine.close()
  }

  oid(): Oid {
    return oid(this.#nextOid++)
  }
  storage(): number {
    return this.#nextStorage++
  }

  put(...rows: readonly RelationRow[]): void {
    this.#local = this.#local.fork()
    for (const row of rows) this.#local.set('relation', row.oid, row)
    this.catalog = this.#view()
  }

  relation(name: string): RelationRow {
    const row = this.catalog.relationByName(PUBLIC, name)
    if (row === undefined) throw new Error(`no relation ${name}`)
    return row
  }

  context(source: string, parameters: Oid[] = []): BindContext {
    return {
      catalog: this.catalog,
      searchPath: [PG_CATALOG, PUBLIC],
      typeContext: { ...context, type: (type) => this.catalog.type(type) },
      source,
      parameters,
      parametersFixed: false,
      dependsOnSettings: false,
      dependsOnClock: false,
      relationsUsed: new Set(),
      accesses: new Map(),
      viewAccesses: [],
      notice: () => undefined,
    }
  }

  expression(text: string, table: RelationRow | undefined): Expression {
    const source = `select ${text}`
    const parsed = parse(source)
    if (parsed instanceof Promise) throw new Error('the parser is not ready')
    const { node } = parsed[0]!
    if (!('SelectStmt' in node)) throw new Error(text)
    const target = node.SelectStmt.targetList![0]!
    if (!('ResTarget' in target)) throw new Error(text)
    return bindTableExpression(this.context(source), table, target.ResTarget.val!, 'check')
  }

  table(name: string, definition: TableDefinition): RelationRow {
    const self = this.oid()
    const base = { namespace: PUBLIC, owner: oid(10), persistence: 'p' as const }
    const row = (): RelationRow => ({
      ...base,
      oid: self,
      name,
      kind: 'r',
      rowType: oid(0),
      storageId,
      columns,
      constraints,
      indexes,
    })
    const storageId = this.storage()
    const constraints: ConstraintRow[] = []
    const indexes: Oid[] = []
    const others: RelationRow[] = []
    let columns: ColumnRow[] = definition.columns.map(([column, type, options], i): ColumnRow => {
      const found = this.catalog.typeByName(PG_CATALOG, type.startsWith('_') ? type : type.replace(/\(.*/, ''))
      if (found === undefined) throw new Error(`no type ${type}`)
      const length = /\((\d+)\)/.exec(type)?.[1]
      return {
        number: i + 1,
        name: column,
        type: found.oid,
        typmod: length === undefined ? -1 : Number(length) + 4,
        collation: found.collation,
        notNull: options?.notNull === true || definition.primary?.includes(column) === true,
        dropped: false,
      }
    })
    columns = columns.map((column, i) => {
      const options = definition.columns[i]![2]
      if (options?.default !== undefined)
        return { ...column, default: this.expression(`(${options.default})::${definition.columns[i]![1]}`, undefined) }
      return options?.generated !== undefined
        ? { ...column, generated: 'stored', default: this.expression(options.generated, row()) }
        : column
    })
    const numberOf = (column: string) => {
      const at = columns.findIndex((each) => each.name === column)
      if (at < 0) throw new Error(`no column ${column}`)
      return at + 1
    }
    const keyOf = (text: string): IndexKey => {
      const parts = /^(\(.*\)|\w+)( desc)?( nulls (first|last))?$/.exec(text)
      if (parts === null) throw new Error(`no key ${text}`)
      const descending = parts[2] !== undefined
      const expression = parts[1]!.startsWith('(') ? this.expression(parts[1]!, row()) : undefined
      const column = expression === undefined ? columns[numberOf(parts[1]!) - 1]! : undefined
      const type = column?.type ?? expression!.type
      const opclass = this.catalog.btree(type)?.opclass
      if (opclass === undefined) throw new Error(`no order of ${text}`)
      const nullsFirst = parts[4] === undefined ? descending : parts[4] === 'first'
      return {
        column: column?.number ?? 0,
        ...(expression && { expression }),
        type,
        typmod: -1,
        opclass,
        collation: oid(0),
        descending,
        nullsFirst,
      }
    }
    const index = (indexName: string, given: IndexDefinition, primary: boolean): RelationRow => {
      const made: RelationRow = {
        ...base,
        oid: this.oid(),
        name: indexName,
        kind: 'i',
        rowType: oid(0),
        storageId: this.storage(),
        columns: [],
        constraints: [],
        indexes: [],
        index: {
          table: self,
          method: 'btree',
          keys: given.keys.map(keyOf),
          include: [],
          unique: given.unique === true,
          nullsNotDistinct: given.nullsNotDistinct === true,
          primary,
          ...(given.where === undefined ? {} : { predicate: this.expression(given.where, row()) }),
          valid: true,
          clustered: primary,
          immediate: given.deferrable === undefined,
        },
      }
      indexes.push(made.oid)
      others.push(made)
      return made
    }
    const constraint = (rest: Pick<ConstraintRow, 'name' | 'type' | 'columns'> & Partial<ConstraintRow>): void => {
      constraints.push({ oid: this.oid(), deferrable: false, initiallyDeferred: false, validated: true, ...rest })
    }
    const waiting = (deferrable: 'deferred' | 'immediate' | undefined) => ({
      deferrable: deferrable !== undefined,
      initiallyDeferred: deferrable === 'deferred',
    })
    if (definition.primary !== undefined) {
      const made = index(`${name}_pkey`, { keys: definition.primary, unique: true }, true)
      constraint({ name: made.name, type: 'p', columns: definition.primary.map(numberOf), index: made.oid })
    }
    definition.indexes?.forEach((each, i) => {
      const made = index(each.name ?? `${name}_${i}_idx`, each, false)
      if (each.unique === true && each.where === undefined && each.keys.every((key) => /^\w+$/.test(key)))
        constraint({
          name: made.name,
          type: 'u',
          columns: each.keys.map(numberOf),
          index: made.oid,
          ...waiting(each.deferrable),
        })
    })
    for (const [check, text] of Object.entries(definition.checks ?? {}))
      constraint({ name: check, type: 'c', columns: [], check: this.expression(text, row()) })
    for (const each of definition.foreign ?? []) {
      const parent = each.table === name ? row() : this.relation(each.table)
      const referenced = each.references.map((column) => parent.columns.find((row) => row.name === column)!.number)
      const type = (at: number) => parent.columns[referenced[at]! - 1]!.type
      const operators = each.columns.map((column, i) => {
        const left = type(i)
        const right = columns[numberOf(column) - 1]!.type
        const found = this.catalog.operatorsByName('=').find((row) => row.left === left && row.right === right)
        return found?.oid ?? this.catalog.btree(left)!.eq
      })
      constraint({
        name: each.name ?? `${name}_${each.columns.join('_')}_fkey`,
        type: 'f',
        columns: each.columns.map(numberOf),
        foreignKey: {
          table: parent.oid,
          columns: referenced,
          onUpdate: each.onUpdate ?? 'no-action',
          onDelete: each.onDelete ?? 'no-action',
          onDeleteColumns: [],
          match: each.match ?? 'simple',
          operators,
        },
        ...waiting(each.deferrable),
      })
    }
    this.put(row(), ...others)
    return this.relation(name)
  }

  session(isolation: Isolation = 'read-committed'): Session {
    return new Session(this, isolation)
  }
}

let pids = 100

/** One transaction after the other; outside of `begin` every statement is its own. */
export class Session {
  readonly #database: Database
  readonly #isolation: Isolation
  readonly #pid = pids++
  readonly deferred = new DeferredChecks()
  txn: Txn | undefined
  /** Statements that began again. */
  restarts = 0
  #inBlock = false

  constructor(database: Database, isolation: Isolation) {
    this.#database = database
    this.#isolation = isolation
  }

  begin(): void {
    this.#inBlock = true
  }

  #ensure(): Txn {
    this.txn ??= this.#database.kv.begin({
      isolation: this.#isolation,
      readOnly: false,
      pid: this.#pid,
      lockTimeoutMs: () => 0,
    })
    return this.txn
  }

  execution(outerSlots = 0, parameters: readonly Value[] = []): Execution {
    const { catalog } = this.#database
    return execution({
      txn: this.#ensure(),
      catalog,
      context: { ...context, type: (type) => catalog.type(type) },
      parameters,
      outer: new Array<Value>(outerSlots).fill(null),
      deferred: this.deferred,
      vectors: undefined as unknown as Execution['vectors'],
      vectorSettings: defaultVectorSettings(),
    })
  }

  plan(text: string, parameters: readonly Value[] = []): { planned: PlannedStatement; columns: readonly string[] } {
    const parsed = parse(text)
    if (parsed instanceof Promise) throw new Error('the parser is not ready')
    const b = this.#database.context(
      text,
      parameters.map(() => oid(0)),
    )
    const query = bind(b, parsed[0]!.node)
    const { catalog } = this.#database
    const planned = plan(query, catalog, {
      sizes: { rows: () => 1000 },
      fold: (e) => constantFold(e, catalog, context),
      enabled: () => true,
    })
    return { planned, columns: outputColumns(query).map((column) => column.name) }
  }

  /** Rows of RETURNING or SELECT; `affected` says how many rows were changed. */
  affected = 0
  async run(text: string, parameters: readonly Value[] = [], mode: 'once' | 'often' = 'once'): Promise<Row[]> {
    const { planned } = this.plan(text, parameters)
    const operator = compilePlan(planned.plan, compileEnv(this.#database.catalog, mode))
    const txn = this.#ensure()
    txn.beginStatement()
    const mark = txn.savepoint()
    const deferredMark = this.deferred.mark()
    try {
      for (;;) {
        const x = this.execution(planned.outerSlots, parameters)
        try {
          const rows: Row[] = []
          const steps = runPlan(operator, x)
          for (let step = steps.next(); step.done !== true; step = steps.next()) {
            if (step.value instanceof Pause) await step.value.promise
            else rows.push(...step.value)
          }
          this.affected = x.affected
          if (!this.#inBlock) await this.commit()
          return rows
        } catch (error) {
          if (!(error instanceof KvError) || error.reason.kind !== 'statement-restart') throw error
          this.restarts++
          this.deferred.undoTo(deferredMark)
          txn.restartStatement(mark)
        }
      }
    } catch (error) {
      if (!this.#inBlock) this.rollback()
      throw error
    }
  }

  async settle(): Promise<void> {
    const txn = this.#ensure()
    txn.beginStatement()
    for (const step of this.deferred.run(this.execution())) if (step instanceof Pause) await step.promise
  }

  async commit(): Promise<void> {
    try {
      if (!this.deferred.empty) await this.settle()
    } catch (error) {
      this.rollback()
      throw error
    }
    const { txn } = this
    this.#end()
    await txn?.commit()
  }

  rollback(): void {
    const { txn } = this
    this.#end()
    txn?.rollback()
  }

  #end(): void {
    this.txn = undefined
    this.#inBlock = false
    this.deferred.undoTo(0)
  }
}

export async function openDatabase(engine: Engine = openMemoryEngine()): Promise<Database> {
  const kv = await openKv(engine, { clock: systemClock, openLog: openLocalLog(engine) })
  return new Database(kv, engine)
}

/** 'ERROR text' as a client would see it, with its code and detail. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    const { code, message, fields, reason } = error as {
      code?: string
      message: string
      fields?: { detail?: string; hint?: string; constraint?: string }
      reason?: { kind: string }
    }
    if (code === undefined && reason === undefined) throw error
    return [code ?? reason?.kind, message, fields?.detail].filter((part) => part !== undefined).join(' | ')
  }
  return 'no error'
}
