/**
 * Foreign keys, at the end of a statement as PostgreSQL's triggers are: changes of rows leave events in a queue, `finish`
 * works them off, and what it does to other rows leaves further events, until none is left.
 *
 *     child row came   → its parent must be there: lock it (key-share), look at the newest state           else 23503
 *     parent row went  → NO ACTION, RESTRICT: no child may be there, at the newest state                    else 23503
 *                        CASCADE, SET NULL, SET DEFAULT: change the children
 *
 * Checks of constraints that are deferred now go to the transaction's list instead; actions never wait.
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { PAGE_HEADER_BYTES, type Span } from '../../storage/kv/kv.ts'
import { equalPrefixes, type KeySpace, pointWriter, rowSpan } from '../access/keys.ts'
import type { Catalog, ConstraintRow, ForeignKeyAction, RelationRow } from '../catalog/catalog.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Row, Value } from '../types/value.ts'
import { compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { bindNullSafe, type Callable, callSite } from './functions.ts'
import { TableRun } from './modify-rows.ts'
import {
  constraintOf,
  type IndexWriter,
  keyDescription,
  type TableWriter,
  tableFields,
  tableWriter,
} from './modify-table.ts'
import { type Execution, type MutableRow, Pause, SLICE_OVER } from './operator.ts'

type Waits<T> = Generator<Pause, T, undefined>

type Event =
  | { readonly kind: 'child'; readonly fk: ForeignKey; readonly key: Key; readonly values: Row }
  /** `row`: the new version, when it was an update. Both are whole parent rows. */
  | { readonly kind: 'parent'; readonly fk: ForeignKey; readonly old: Row; readonly row: Row | undefined }
  | {
      readonly kind: 'unique'
      readonly table: TableWriter
      readonly index: IndexWriter
      readonly bare: Key
      readonly values: Row
    }

/** Parents known to be there, by constraint: asked once a statement. */
const VERIFIED_MAX = 10_000
/** Events kept before those that may be checked early are. */
export const EVENTS_MAX = 1024

export class ForeignQueue {
  readonly #x: Execution
  readonly #env: CompileEnv
  readonly #tables = new Map<Oid, TableRun>()
  readonly #verified = new Map<ForeignKey, Set<Key>>()
  #events: Event[] = []

  constructor(x: Execution, env: CompileEnv) {
    this.#x = x
    this.#env = env
  }

  table(table: RelationRow): TableRun {
    let run = this.#tables.get(table.oid)
    if (run === undefined)
      this.#tables.set(table.oid, (run = new TableRun(tableWriter(table, this.#env), this.#x, this)))
    return run
  }

  // ---- what happened

  inserted(writer: TableWriter, key: Key, row: Row): void {
    for (const constraint of writer.foreignKeys) this.#child(writer, constraint, key, row)
  }

  updated(writer: TableWriter, key: Key, old: Row, newKey: Key, row: Row): void {
    for (const constraint of writer.foreignKeys) {
      const fk = this.#foreignKey(writer.table, constraint)
      // A deferred check of the row at its old place no longer finds it.
      const moved = key !== newKey && this.#x.deferred?.waits(constraint) === true
      if (moved || fk.childPositions.some((at) => old[at] !== row[at])) this.#child(writer, constraint, newKey, row)
    }
    for (const { table, constraint } of writer.referencing) {
      const fk = this.#foreignKey(table, constraint)
      const run = this.table(writer.table)
      if (
        constraint.foreignKey!.columns.some(
          (column, i) => !run.same(column, old[fk.parentPositions[i]!]!, row[fk.parentPositions[i]!]!),
        )
      )
        this.#parent(fk, old, row)
    }
  }

  deleted(writer: TableWriter, _key: Key, old: Row): void {
    for (const { table, constraint } of writer.referencing)
      this.#parent(this.#foreignKey(table, constraint), old, undefined)
  }

  lateUnique(table: TableWriter, index: IndexWriter, bare: Key, values: Row): void {
    const constraint = constraintOf(table.table, index.relation)
    const event: Event = { kind: 'unique', table, index, bare, values }
    if (constraint !== undefined && this.#x.deferred?.waits(constraint))
      this.#x.deferred.add({ constraint, run: (x) => uniqueCheck(x, table, index, bare, values) })
    else this.#events.push(event)
  }

  #foreignKey(child: RelationRow, constraint: ConstraintRow): ForeignKey {
    return foreignKeyOf(child, constraint, this.#env)
  }

  #child(writer: TableWriter, constraint: ConstraintRow, key: Key, row: Row): void {
    const fk = this.#foreignKey(writer.table, constraint)
    const values = fk.childPositions.map((at) => row[at]!)
    const nulls = values.reduce<number>((count, value) => count + (value === null ? 1 : 0), 0)
    if (nulls > 0 && (fk.match === 'simple' || nulls === values.length)) return
    if (this.#x.deferred?.waits(constraint))
      this.#x.deferred.add({ constraint, run: (x) => deferredChild(x, fk, key, values) })
    else this.#events.push({ kind: 'child', fk, key, values })
  }

  #parent(fk: ForeignKey, old: Row, row: Row | undefined): void {
    if (fk.parentPositions.some((at) => old[at] === null)) return
    const action = row === undefined ? fk.onDelete : fk.onUpdate
    if (action === 'no-action' && this.#x.deferred?.waits(fk.constraint))
      this.#x.deferred.add({ constraint: fk.constraint, run: (x) => noAction(x, fk, old, true) })
    else this.#events.push({ kind: 'parent', fk, old, row })
  }

  // ---- what follows

  get pending(): number {
    return this.#events.length
  }

  /** Checks that need not wait for the statement's end, between two batches of rows: parents in other tables. */
  *early(target: RelationRow): Waits<void> {
    const events = this.#events
    this.#events = []
    for (const event of events) {
      if (event.kind === 'child' && event.fk.parentTable.oid !== target.oid) yield* this.#work(event)
      else this.#events.push(event)
    }
  }

  /** All that the statement's changes ask for. */
  *finish(): Waits<void> {
    while (this.#events.length > 0) {
      const events = this.#events
      this.#events = []
      for (const event of events) {
        yield* this.#work(event)
        if (this.#x.sliceOver()) yield SLICE_OVER
      }
    }
    this.#verified.clear()
  }

  *#work(event: Event): Waits<void> {
    const x = this.#x
    switch (event.kind) {
      case 'child': {
        const { fk, values } = event
        let verified = this.#verified.get(fk)
        if (verified === undefined || verified.size >= VERIFIED_MAX) this.#verified.set(fk, (verified = new Set()))
        yield* childCheck(x, fk, values, verified)
        return
      }
      case 'unique':
        yield* uniqueCheck(x, event.table, event.index, event.bare, event.values)
        return
      case 'parent':
        this.#verified.clear()
        yield* this.#act(event.fk, event.old, event.row)
    }
  }

  *#act(fk: ForeignKey, old: Row, row: Row | undefined): Waits<void> {
    const x = this.#x
    const action = row === undefined ? fk.onDelete : fk.onUpdate
    if (action === 'no-action' || action === 'restrict') {
      yield* noAction(x, fk, old, action === 'no-action')
      return
    }
    const run = this.table(fk.childTable)
    const children = yield* childrenOf(
      x,
      fk,
      fk.parentPositions.map((at) => old[at]!),
      Number.POSITIVE_INFINITY,
    )
    for (const child of children) {
      if (action === 'cascade' && row === undefined) yield* waiting(() => run.delete(child.key, child.row))
      else {
        const next = fk.changed(x, action, child.row, row)
        run.prepare(next)
        yield* waiting(() => run.update(child.key, child.row, next))
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
    // A child whose default is the key that went still points at it, unchanged.
    if (action === 'set-default') yield* noAction(x, fk, old, true)
  }
}

/** Calls it until it need not wait. */
function* waiting(change: () => Promise<unknown> | undefined): Waits<void> {
  for (let promise = change(); promise !== undefined; promise = change()) yield new Pause(promise)
}

// ---- one foreign key

interface IndexPath {
  readonly relation: RelationRow
  readonly clustered: boolean
  readonly space: KeySpace
  /** For each key column used: which column of the foreign key. */
  readonly order: readonly number[]
}

export class ForeignKey {
  readonly constraint: ConstraintRow
  readonly childTable: RelationRow
  readonly parentTable: RelationRow
  readonly childPositions: readonly number[]
  readonly parentPositions: readonly number[]
  readonly childTypes: readonly Oid[]
  readonly parentTypes: readonly Oid[]
  readonly match: 'simple' | 'full'
  readonly onUpdate: ForeignKeyAction
  readonly onDelete: ForeignKeyAction
  /** Both sides' values are the same in memory when they are equal. */
  readonly sameTypes: boolean
  readonly env: CompileEnv
  #parentPath: IndexPath | undefined
  #childPath: IndexPath | null | undefined

  constructor(childTable: RelationRow, constraint: ConstraintRow, env: CompileEnv) {
    const { catalog } = env
    const { foreignKey } = constraint
    invariant(foreignKey !== undefined, `${constraint.name} is no foreign key`)
    const parentTable = catalog.relation(foreignKey.table)
    invariant(parentTable !== undefined, `relation ${foreignKey.table}`)
    this.env = env
    this.constraint = constraint
    this.childTable = childTable
    this.parentTable = parentTable
    this.match = foreignKey.match
    this.onUpdate = foreignKey.onUpdate
    this.onDelete = foreignKey.onDelete
    const child = tableWriter(childTable, env)
    const parent = tableWriter(parentTable, env)
    this.childPositions = constraint.columns.map((column) => child.position[column]!)
    this.parentPositions = foreignKey.columns.map((column) => parent.position[column]!)
    this.childTypes = constraint.columns.map((column) => baseType(catalog, childTable.columns[column - 1]!.type))
    this.parentTypes = foreignKey.columns.map((column) => baseType(catalog, parentTable.columns[column - 1]!.type))
    this.sameTypes = this.childTypes.every((type, i) => alike(type, this.parentTypes[i]!))
  }

  get child(): TableWriter {
    return tableWriter(this.childTable, this.env)
  }
  get parent(): TableWriter {
    return tableWriter(this.parentTable, this.env)
  }

  /** The referenced unique index. */
  get parentPath(): IndexPath {
    if (this.#parentPath !== undefined) return this.#parentPath
    const { columns } = this.constraint.foreignKey!
    const { parent } = this
    const isIt = (relation: RelationRow) =>
      this.constraint.index !== undefined
        ? relation.oid === this.constraint.index
        : relation.index!.unique &&
          relation.index!.predicate === undefined &&
          relation.index!.keys.length === columns.length &&
          relation.index!.keys.every((key) => columns.includes(key.column))
    const candidates = [
      ...(parent.primary === undefined
        ? []
        : [{ relation: parent.primary.relation, space: parent.primary.space, clustered: true }]),
      ...parent.indexes.map((index) => ({ relation: index.relation, space: index.space, clustered: false })),
    ]
    const found = candidates.find(({ relation }) => isIt(relation))
    invariant(found !== undefined, `no unique index for ${this.constraint.name}`)
    this.#parentPath = { ...found, order: found.relation.index!.keys.map((key) => columns.indexOf(key.column)) }
    return this.#parentPath
  }

  /** The index that finds children best; undefined: all rows must be looked at. */
  get childPath(): IndexPath | undefined {
    if (this.#childPath !== undefined) return this.#childPath ?? undefined
    const { child, constraint } = this
    const candidates = [
      ...(child.primary === undefined
        ? []
        : [{ relation: child.primary.relation, space: child.primary.space, clustered: true }]),
      ...child.indexes.map((index) => ({ relation: index.relation, space: index.space, clustered: false })),
    ]
    let best: IndexPath | null = null
    for (const { relation, space, clustered } of candidates) {
      const index = relation.index!
      if (!index.valid || index.method !== 'btree' || index.predicate !== undefined) continue
      const order: number[] = []
      for (const key of index.keys) {
        const at = key.column === 0 ? -1 : constraint.columns.indexOf(key.column)
        if (at < 0 || !alike(this.childTypes[at]!, this.parentTypes[at]!)) break
        order.push(at)
      }
      if (order.length > (best?.order.length ?? 0)) best = { relation, space, clustered, order }
    }
    this.#childPath = best
    return best ?? undefined
  }

  /** Whether each child value equals its parent value. */
  equals(x: Execution): (parent: Row, child: Row) => boolean {
    if (this.sameTypes) {
      const keys = this.childTypes.map((type) => x.catalog.type(type).hashKey)
      return (parent, child) => {
        for (let i = 0; i < keys.length; i++) {
          const [a, b] = [parent[i]!, child[i]!]
          if (a === null || b === null || (a !== b && (keys[i] === undefined || keys[i]!(a) !== keys[i]!(b))))
            return false
        }
        return true
      }
    }
    const tests = this.constraint.foreignKey!.operators.map((oid, i): Callable => {
      const fn = x.catalog.operator(oid)?.function ?? oid
      const declared = x.catalog.function(fn)?.argTypes ?? []
      // numeric = numeric serves a key of integers too: its operand is converted.
      const operand = (type: Oid, at: number) => {
        const cast = declared[at] === undefined ? undefined : castOf(x, type, declared[at])
        return { type: cast === undefined ? type : declared[at]!, typmod: -1, convert: cast ?? same }
      }
      const [left, right] = [operand(this.parentTypes[i]!, 0), operand(this.childTypes[i]!, 1)]
      const call = bindNullSafe(callSite(x.catalog, fn, [left, right], OID.bool), x.context)
      return (a, b) => call(left.convert(a!), right.convert(b!))
    })
    return (parent, child) => tests.every((test, i) => test(parent[i]!, child[i]!) === true)
  }

  /** Child values as the parent's columns have them; undefined: there is no way but to compare. */
  toParent(x: Execution): ((values: Row) => Row) | undefined {
    if (this.sameTypes) return (values) => values
    const casts = this.childTypes.map((from, i) => castOf(x, from, this.parentTypes[i]!))
    if (!casts.every((cast) => cast !== undefined)) return undefined
    return (values) => values.map((value, i) => casts[i]!(value))
  }

  /** A child row after its parent row changed to `parent` (undefined: it went). */
  changed(x: Execution, action: ForeignKeyAction, child: Row, parent: Row | undefined): MutableRow {
    const next = child.slice()
    const only = parent === undefined ? this.constraint.foreignKey!.onDeleteColumns : []
    this.constraint.columns.forEach((column, i) => {
      if (action !== 'cascade' && only.length > 0 && !only.includes(column)) return
      const at = this.childPositions[i]!
      const row = this.childTable.columns[column - 1]!
      if (action === 'cascade')
        next[at] = converted(x, this.parentTypes[i]!, row.type, row.typmod, parent![this.parentPositions[i]!]!)
      else if (action === 'set-default' && row.default !== undefined)
        next[at] = compileValue(row.default, { ...this.env, mode: 'once' }).bind(x)([])
      else next[at] = null
    })
    return next
  }
}

const known = new WeakMap<ConstraintRow, { readonly version: number; readonly fk: ForeignKey }>()
function foreignKeyOf(child: RelationRow, constraint: ConstraintRow, env: CompileEnv): ForeignKey {
  const { version } = env.catalog
  const found = known.get(constraint)
  if (found?.version === version) return found.fk
  const fk = new ForeignKey(child, constraint, env)
  known.set(constraint, { version, fk })
  return fk
}

function baseType(catalog: Catalog, type: Oid): Oid {
  const row = catalog.typeRow(type)
  return row?.kind === 'd' ? baseType(catalog, row.baseType) : type
}

const INTEGERS = new Set<Oid>([OID.int2, OID.int4, OID.int8])
const TEXTS = new Set<Oid>([OID.text, OID.varchar, OID.name])
/** Equal values of the two types are one value in memory, with one key but for its width. */
const alike = (a: Oid, b: Oid): boolean =>
  a === b || (INTEGERS.has(a) && INTEGERS.has(b)) || (TEXTS.has(a) && TEXTS.has(b))

const same = (value: Value): Value => value

function castOf(x: Execution, from: Oid, to: Oid): ((value: Value) => Value) | undefined {
  if (alike(from, to)) return same
  const cast = x.catalog.cast(from, to)
  if (cast === undefined) return undefined
  if (cast.method === 'b') return same
  if (cast.method === 'i' || cast.function === 0) return undefined
  return bindNullSafe(callSite(x.catalog, cast.function, [{ type: from, typmod: -1 }], to), x.context)
}

/** An assignment from a parent's column to a child's. */
function converted(x: Execution, from: Oid, to: Oid, typmod: number, value: Value): Value {
  if (value === null || (from === to && typmod === -1)) return value
  const base = baseType(x.catalog, to)
  const cast = x.catalog.cast(from, base)
  const through =
    from !== base && cast?.method === 'f'
      ? bindNullSafe(callSite(x.catalog, cast.function, [{ type: from, typmod: -1 }], base), x.context)
      : undefined
  const result = through === undefined ? value : through(value)
  if (result === null || (through !== undefined && typmod === -1)) return result
  return x.catalog
    .type(to)
    .input(x.catalog.type(through === undefined ? from : base).output(result, x.context), typmod, x.context)
}

// ---- children look for their parent

const notPresent = (x: Execution, fk: ForeignKey, detail: string) =>
  sqlError(
    '23503',
    `insert or update on table "${fk.childTable.name}" violates foreign key constraint "${fk.constraint.name}"`,
    {
      detail,
      ...tableFields(x.catalog, fk.childTable),
      constraint: fk.constraint.name,
    },
  )

/** '(a, b)=(1, 2)' with plain names, as these messages have it. */
function described(x: Execution, table: RelationRow, columns: readonly number[], values: Row): string {
  const rows = columns.map((column) => table.columns[column - 1]!)
  const texts = rows.map((row, i) =>
    values[i] === null ? 'null' : x.catalog.type(row.type).output(values[i]!, x.context),
  )
  return `(${rows.map((row) => row.name).join(', ')})=(${texts.join(', ')})`
}

/** Throws 23503 unless the parent of these child values is there; locks it. */
function* childCheck(x: Execution, fk: ForeignKey, values: Row, verified: Set<Key> | undefined): Waits<void> {
  if (values.includes(null)) throw notPresent(x, fk, 'MATCH FULL does not allow mixing of null and nonnull key values.')
  const found = yield* findParent(x, fk, values, verified)
  if (!found)
    throw notPresent(
      x,
      fk,
      `Key ${described(x, fk.childTable, fk.constraint.columns, values)} is not present in table "${fk.parentTable.name}".`,
    )
}

function* findParent(x: Execution, fk: ForeignKey, values: Row, verified: Set<Key> | undefined): Waits<boolean> {
  const { txn } = x
  const path = fk.parentPath
  const converted = fk.toParent(x)?.(values)
  if (converted === undefined) return yield* searchParent(x, fk, values)
  const key = pointWriter(path.space)(path.order.map((at) => converted[at]!))
  if (key === undefined) return false
  if (verified?.has(key)) return true
  if (!fk.sameTypes) {
    // The conversion may have lost something: the operator has the last word.
    const rowKey = path.clustered ? key : entryValue(x, key)
    const found = rowKey === undefined ? undefined : txn.getNewest(rowKey)
    if (
      found === undefined ||
      !fk.equals(x)(pick(fk.parent.read(found.buffer, found.start), fk.parentPositions), values)
    )
      return false
  }
  for (;;) {
    const rowKey = path.clustered ? key : entryValue(x, key)
    if (rowKey === undefined) return false
    const granted = txn.lock(rowKey, 'key-share', 'skip')
    if (granted === false) {
      // Someone is changing it; a row that is not there yet is not waited for.
      if (txn.getNewest(rowKey) === undefined) return false
      const promise = txn.lock(rowKey, 'key-share', 'wait')
      if (promise instanceof Promise) yield new Pause(promise)
    } else if (granted instanceof Promise) yield new Pause(granted)
    if (path.clustered ? txn.getNewest(key) !== undefined : entryValue(x, key) === rowKey) {
      verified?.add(key)
      return true
    }
    if (path.clustered) return false
  }
}

function entryValue(x: Execution, entry: Key): Key | undefined {
  const found = x.txn.getNewest(entry)
  return found === undefined ? undefined : (found.buffer.latin1Slice(found.start, found.end) as Key)
}

const pick = (row: Row, positions: readonly number[]): Row => positions.map((at) => row[at]!)

/** Types that only their operator can compare: every parent is looked at. */
function* searchParent(x: Execution, fk: ForeignKey, values: Row): Waits<boolean> {
  const equals = fk.equals(x)
  const { parent } = fk
  for (const { key, row } of newestRows(x, rowSpan(x.catalog.databaseOid, fk.parentTable), parent)) {
    if (!equals(pick(row, fk.parentPositions), values)) continue
    const promise = x.txn.lock(key, 'key-share', 'wait')
    if (promise instanceof Promise) yield new Pause(promise)
    const found = x.txn.getNewest(key)
    if (found !== undefined && equals(pick(parent.read(found.buffer, found.start), fk.parentPositions), values))
      return true
  }
  return false
}

/** At the end of the transaction: the child row must still be there, with these values, for its parent to matter. */
function* deferredChild(x: Execution, fk: ForeignKey, key: Key, values: Row): Waits<void> {
  const found = x.txn.getNewest(key)
  if (found === undefined) return
  const now = pick(fk.child.read(found.buffer, found.start), fk.childPositions)
  const run = fk.childTypes.map((type) => x.catalog.type(type).hashKey)
  const same = now.every(
    (value, i) =>
      value === values[i] ||
      (value !== null && values[i] !== null && run[i] !== undefined && run[i]!(value) === run[i]!(values[i]!)),
  )
  if (same) yield* childCheck(x, fk, values, undefined)
}

// ---- parents look for their children

/** 23503 when children still point at the old key. `replaceable`: unless another row has that key by now (NO ACTION). */
function* noAction(x: Execution, fk: ForeignKey, old: Row, replaceable: boolean): Waits<void> {
  const values = pick(old, fk.parentPositions)
  if (replaceable) {
    const path = fk.parentPath
    const key = pointWriter(path.space)(path.order.map((at) => values[at]!))
    if (key !== undefined && (path.clustered ? x.txn.getNewest(key) !== undefined : entryValue(x, key) !== undefined))
      return
  }
  const children = yield* childrenOf(x, fk, values, 1)
  if (children.length === 0) return
  throw sqlError(
    '23503',
    `update or delete on table "${fk.parentTable.name}" violates foreign key constraint "${fk.constraint.name}" on table "${fk.childTable.name}"`,
    {
      detail: `Key ${described(x, fk.parentTable, fk.constraint.foreignKey!.columns, values)} is still referenced from table "${fk.childTable.name}".`,
      ...tableFields(x.catalog, fk.childTable),
      constraint: fk.constraint.name,
    },
  )
}

interface Child {
  readonly key: Key
  readonly row: MutableRow
}

/** Child rows of the newest state that point at these parent values, at most so many. */
function* childrenOf(x: Execution, fk: ForeignKey, values: Row, most: number): Waits<Child[]> {
  const equals = fk.equals(x)
  const { child } = fk
  const path = fk.childPath
  const spans: readonly Span[] =
    path === undefined
      ? [rowSpan(x.catalog.databaseOid, fk.childTable)]
      : equalPrefixes(
          path.space,
          {
            equal: path.order.map(() => ({ kind: 'value', expression: NO_EXPRESSION })),
            lower: undefined,
            upper: undefined,
            notNull: false,
          },
          { equal: path.order.map((at) => values[at]!), lower: null, upper: null },
        ).map(prefixSpan)
  const children: Child[] = []
  let seen = 0
  for (const span of spans) {
    const rows = path === undefined || path.clustered ? newestRows(x, span, child) : rowsOfEntries(x, span, child)
    for (const { key, row } of rows) {
      if (equals(values, pick(row, fk.childPositions))) children.push({ key, row })
      if (children.length >= most) return children
      if ((++seen & 0xff) === 0 && x.sliceOver()) yield SLICE_OVER
    }
  }
  return children
}
const NO_EXPRESSION = { kind: 'const', value: null, type: OID.unknown, typmod: -1 } as const

/** A table's rows, or index entries' rows, at the newest committed state and with the transaction's own. */
function* newestRows(x: Execution, span: Span, table: TableWriter): Generator<Child, void, undefined> {
  const scanner = x.txn.scanNewest(span)
  try {
    for (let page = scanner.next(256); page !== undefined; page = scanner.next(256)) {
      const { buffer, bytes } = page
      for (let o = 0; o < bytes; ) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        const key = buffer.latin1Slice(o + PAGE_HEADER_BYTES, at) as Key
        o = at + buffer.readUInt32LE(o + 4)
        yield { key, row: table.read(buffer, at) }
      }
    }
  } finally {
    scanner.close()
  }
}

function* rowsOfEntries(x: Execution, span: Span, table: TableWriter): Generator<Child, void, undefined> {
  const scanner = x.txn.scanNewest(span)
  try {
    for (let page = scanner.next(256); page !== undefined; page = scanner.next(256)) {
      const { buffer, bytes } = page
      const keys: Key[] = []
      for (let o = 0; o < bytes; ) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        o = at + buffer.readUInt32LE(o + 4)
        keys.push(buffer.latin1Slice(at, o) as Key)
      }
      for (const key of keys) {
        const found = x.txn.getNewest(key)
        if (found !== undefined) yield { key, row: table.read(found.buffer, found.start) }
      }
    }
  } finally {
    scanner.close()
  }
}

// ---- unique constraints that are checked late

function* uniqueCheck(x: Execution, table: TableWriter, index: IndexWriter, bare: Key, values: Row): Waits<void> {
  if (x.sliceOver()) yield SLICE_OVER
  const scanner = x.txn.scanNewest(prefixSpan(bare))
  const page = scanner.next(2)
  const count = page?.count ?? 0
  scanner.close()
  if (count < 2) return
  throw sqlError('23505', `duplicate key value violates unique constraint "${index.relation.name}"`, {
    detail: `Key ${keyDescription(x.catalog, index.relation, values, x.context)} already exists.`,
    ...tableFields(x.catalog, table.table),
    constraint: index.relation.name,
  })
}
