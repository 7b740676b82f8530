/**
 * Hash join: a table of the inner rows by their keys, probed with the outer rows. When the inner rows outgrow work_mem,
 * both sides are parted into files by a hash of their keys and the parts are joined one after another.
 *
 *     inner rows by key number:  offsets  0 2 3 …      key 0 has rows order[0], order[1]; key 1 has order[2]; …
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Plan } from '../plan/plan.ts'
import { OID } from '../types/oids.ts'
import type { Row, Value } from '../types/value.ts'
import { compileJoinPredicate, compileRow, compileValue } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { hashKeyOf, type KeyTable, keyTable } from './hashing.ts'
import { rowJoiner } from './join-row.ts'
import { batchBytes } from './memory.ts'
import { nulls, unmatched } from './nested-loop.ts'
import {
  BATCH_ROWS,
  type Execution,
  grownBatch,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Step,
  type Steps,
} from './operator.ts'
import { SpillFile } from './spill.ts'

type HashJoin = Extract<Plan, { kind: 'hash-join' | 'merge-join' }>

const PARTS = 16
/** Parts of parts of parts: rows that still do not fit then share one key, and are joined as they are. */
const DEPTH_MAX = 4

export function compileHashJoin(plan: HashJoin, env: CompileEnv): Operator {
  const outer = env.compilePlan(plan.outer, env)
  const inner = env.compilePlan(plan.inner, env)
  const outerWidth = plan.outer.columns.length
  const innerWidth = plan.inner.columns.length
  const outerKey = joinKey(plan.outerKeys, env)
  const innerKey = joinKey(plan.innerKeys, env)
  const on = plan.on && compileJoinPredicate(plan.on, outerWidth, env)
  const joined = rowJoiner(outerWidth, innerWidth)
  const { join, nullAware } = plan
  const outerOnly = join === 'semi' || join === 'anti'
  const keepsOuter = join === 'left' || join === 'full' || join === 'anti'
  const keepsInner = join === 'right' || join === 'full'
  const innerNulls = nulls(innerWidth)
  const outerNulls = nulls(outerWidth)
  const types = plan.innerKeys.map((key) => key.type)

  return {
    *run(x) {
      yield* joinAll(x, inner.run(x), outer.run(x), 0)
    },
  }

  function* joinAll(x: Execution, innerSteps: Iterable<Step>, outerSteps: Iterable<Step>, depth: number): Steps {
    const built = yield* build(x, innerSteps, depth)
    if (built.parts !== undefined) {
      yield* joinParts(x, built.parts, built.sawNull, outerSteps, depth)
      return
    }
    yield* probe(x, built, outerSteps)
  }

  /** Reads the inner side. With `parts`, it did not fit and lies in files. */
  function* build(x: Execution, steps: Iterable<Step>, depth: number): Generator<Pause, Built, undefined> {
    const table = keyTable(env.catalog, types)
    const key = innerKey.bind(x)
    const single = innerKey.single
    let rows: MutableRow[] = []
    let ids = new Int32Array(BATCH_ROWS)
    let bytes = 0
    let sawNull = false
    let parts: SpillFile[] | undefined
    const part = partOf(env, types, depth)
    const spill = (row: MutableRow, k: Value | Row) => parts![part(k)]!.write(row)
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      if (rows.length + step.length > ids.length) {
        const larger = new Int32Array(Math.max(ids.length * 2, rows.length + step.length))
        larger.set(ids)
        ids = larger
      }
      for (const row of step) {
        const k = key(row)
        const isNull = single ? k === null : (k as Row).includes(null)
        if (isNull) {
          sawNull = true
          if (!keepsInner) continue
        }
        if (parts !== undefined) spill(row, k)
        else {
          ids[rows.length] = isNull ? -1 : single ? table.addOne(k as Value) : table.add(k as Row)
          rows.push(row)
        }
      }
      if (parts !== undefined) continue
      // The table's share of a row is about 40 bytes.
      bytes += batchBytes(step) + step.length * 40
      if (bytes > x.workMemBytes && depth < DEPTH_MAX) {
        parts = Array.from({ length: PARTS }, () => new SpillFile(x))
        for (const row of rows) spill(row, key(row))
        rows = []
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
    return { table, rows, ids, sawNull, parts }
  }

  function* joinParts(
    x: Execution,
    innerParts: readonly SpillFile[],
    sawNull: boolean,
    outerSteps: Iterable<Step>,
    depth: number,
  ): Steps {
    const outerParts = Array.from({ length: PARTS }, () => new SpillFile(x))
    const key = outerKey.bind(x)
    const part = partOf(env, types, depth)
    try {
      for (const step of outerSteps) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        if (nullAware && sawNull) continue
        const out: RowBatch = []
        for (const row of step) {
          const k = key(row)
          if (outerKey.single ? k !== null : !(k as Row).includes(null)) outerParts[part(k)]!.write(row)
          // The inner side is not empty, so NOT IN does not hold for a NULL.
          else if (keepsOuter && !nullAware) out.push(outerOnly ? row : joined(row, innerNulls))
        }
        if (out.length > 0) yield out
        if (x.sliceOver()) yield SLICE_OVER
      }
      for (let i = 0; i < PARTS; i++) {
        yield* joinAll(x, innerParts[i]!.read(), outerParts[i]!.read(), depth + 1)
        innerParts[i]!.close()
        outerParts[i]!.close()
      }
    } finally {
      for (const file of [...innerParts, ...outerParts]) file.close()
    }
  }

  function* probe(x: Execution, built: Built, outerSteps: Iterable<Step>): Steps {
    const { table, rows, ids, sawNull } = built
    if (nullAware && sawNull) return
    if (rows.length === 0 && !keepsOuter) return
    const key = outerKey.bind(x)
    const single = outerKey.single
    const matches = on?.bind(x)
    // Rows in the order of their keys; when every key is there once, a key's number is its row's.
    const unique = table.size === rows.length
    const offsets = unique ? undefined : new Int32Array(table.size + 2)
    const order = unique ? undefined : new Int32Array(rows.length)
    if (offsets !== undefined && order !== undefined) {
      for (let i = 0; i < rows.length; i++) if (ids[i]! >= 0) offsets[ids[i]! + 2]!++
      for (let i = 2; i < offsets.length; i++) offsets[i]! += offsets[i - 1]!
      for (let i = 0; i < rows.length; i++) if (ids[i]! >= 0) order[offsets[ids[i]! + 1]!++] = i
    }
    const matched = keepsInner ? new Uint8Array(rows.length) : undefined
    const emptyInner = rows.length === 0 && !sawNull
    let out: RowBatch = []
    let full = 1
    for (const step of outerSteps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      for (const row of step) {
        const k = key(row)
        let found = false
        const id = single
          ? k === null
            ? -1
            : table.findOne(k as Value)
          : (k as Row).includes(null)
            ? -1
            : table.find(k as Row)
        if (id >= 0) {
          const end = offsets === undefined ? id + 1 : offsets[id + 1]!
          for (let j = offsets === undefined ? id : offsets[id]!; j < end; j++) {
            const at = order === undefined ? j : order[j]!
            const innerRow = rows[at]!
            if (matches !== undefined && !matches(row, innerRow)) continue
            found = true
            if (outerOnly) break
            if (matched !== undefined) matched[at] = 1
            out.push(joined(row, innerRow))
            if (out.length >= BATCH_ROWS) {
              yield out
              out = []
              if (x.sliceOver()) yield SLICE_OVER
            }
          }
        } else if (nullAware && !emptyInner && (single ? k === null : (k as Row).includes(null))) continue
        if (join === 'semi' ? found : keepsOuter && !found) out.push(outerOnly ? row : joined(row, innerNulls))
      }
      if (out.length >= full) {
        yield out
        full = grownBatch(full)
        out = []
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
    if (matched !== undefined) yield* unmatched(rows, matched, joined, outerNulls, out)
    else if (out.length > 0) yield out
  }
}

interface Built {
  readonly table: KeyTable
  readonly rows: readonly MutableRow[]
  /** Key number of each row, -1 for one with a NULL in its key. */
  readonly ids: Int32Array
  readonly sawNull: boolean
  readonly parts: readonly SpillFile[] | undefined
}

/** A key of one column is the bare value, of several a row. */
function joinKey(keys: HashJoin['outerKeys'], env: CompileEnv): Compiled<Value | Row> & { readonly single: boolean } {
  const [only] = keys
  if (keys.length === 1 && only !== undefined) {
    const compiled = compileValue(only, env)
    return {
      bind(x) {
        return compiled.bind(x)
      },
      single: true,
    }
  }
  const compiled = compileRow(keys, env)
  return {
    bind(x) {
      return compiled.bind(x)
    },
    single: false,
  }
}

/** Which part a key belongs to; another one at each depth. NULLs are together in one. */
export function partOf(env: CompileEnv, types: readonly Oid[], depth: number): (key: Value | Row) => number {
  const hashes = types.map(
    (type) =>
      (NUMBERLIKE.has(type) ? (value: Value) => value : hashKeyOf(env.catalog.type(type))) as (value: Value) => Value,
  )
  const single = types.length === 1
  return (key) => {
    let h = Math.imul(depth + 1, 0x9e3779b1)
    for (let i = 0; i < hashes.length; i++) {
      const value = single ? (key as Value) : (key as Row)[i]!
      h = mix(h, value === null ? 0 : hashOf(hashes[i]!(value)))
    }
    return (h >>> 16) % PARTS
  }
}
const NUMBERLIKE: ReadonlySet<number> = new Set([
  OID.int2,
  OID.int4,
  OID.int8,
  OID.float4,
  OID.float8,
  OID.text,
  OID.varchar,
])
const mix = (h: number, n: number): number => {
  const m = Math.imul(h ^ n, 0x85ebca6b)
  return Math.imul(m ^ (m >>> 13), 0xc2b2ae35)
}
function hashOf(value: Value): number {
  if (typeof value === 'number') return (value | 0) === value ? value : hashText(String(value))
  return hashText(String(value))
}
function hashText(s: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193)
  return h
}
