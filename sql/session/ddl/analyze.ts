/**
 * ANALYZE: what the planner knows of a table. All rows are counted, a sample of them (Vitter's reservoir) is kept in its
 * order in the table; of each column: how many NULLs, how wide, how many distinct values (Haas and Stokes' estimator, as
 * PostgreSQL has it), the most common ones, equal-height buckets of the others, and how far the order of the values is
 * the order of the rows.
 */

import { relationSpan } from '../../access/keys.ts'
import type { ColumnRow, ColumnStatistics, RelationRow } from '../../catalog/catalog.ts'
import type { Expression } from '../../plan/expression.ts'
import { createByteWriter } from '../../types/bytes.ts'
import type { Type } from '../../types/type.ts'
import type { Value } from '../../types/value.ts'
import type { Ddl } from './context.ts'
import { eachRow, fullName, ownQuery } from './query.ts'

const TARGET = 100
const SAMPLE_PER_TARGET = 300

export async function analyzeTable(ddl: Ddl, table: RelationRow, only: readonly number[] | undefined): Promise<void> {
  const columns = table.columns.filter(
    (column) =>
      !column.dropped && column.statisticsTarget !== 0 && (only === undefined || only.includes(column.number)),
  )
  const target = Math.max(TARGET, ...columns.map((column) => column.statisticsTarget ?? TARGET))
  const size = target * SAMPLE_PER_TARGET
  const query = ownQuery(ddl, `SELECT FROM ONLY ${fullName(ddl, table)}`)
  const targets = columns.map((column): (typeof query)['targets'][number] => {
    const expression: Expression = {
      kind: 'var',
      level: 0,
      relation: 0,
      column: column.number,
      type: column.type,
      typmod: column.typmod,
    }
    return { name: column.name, expression, junk: false, tableOid: table.oid, columnNumber: column.number }
  })
  const rows: Value[][] = []
  const positions: number[] = []
  let count = 0
  await eachRow(ddl, { ...query, targets }, (row) => {
    if (rows.length < size) {
      positions.push(count)
      rows.push([...row])
    } else {
      const at = Math.floor(Math.random() * (count + 1))
      if (at < size) {
        positions[at] = count
        rows[at] = [...row]
      }
    }
    count++
  })
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!)
  const sample = order.map((i) => rows[i]!)
  const before = ddl.editor.statistics(table.oid)
  const made = columns.map((column, i) =>
    columnStatistics(
      column,
      ddl.editor.type(column.type),
      sample.map((row) => row[i]!),
      count,
    ),
  )
  const kept = only === undefined ? [] : (before?.columns ?? []).filter((each) => !only.includes(each.column))
  ddl.editor.put('statistics', {
    oid: table.oid,
    rows: count,
    bytes: ddl.session.kv.approximateBytes(relationSpan(ddl.editor.databaseOid, table)),
    analyzedAt: Date.now(),
    columns: [...kept, ...made].sort((a, b) => a.column - b.column),
  })
}

const scratch = createByteWriter(1024)
const FIXED: Readonly<Record<string, number>> = {
  bool: 1,
  int16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float32: 4,
  float64: 8,
  date: 4,
  timestamp: 8,
}

function widthOf(type: Type): (value: Value) => number {
  const { storage } = type
  const fixed = FIXED[storage.kind]
  if (fixed !== undefined) return () => fixed
  if (storage.kind === 'bytes') {
    return (value) => {
      scratch.reset()
      storage.write(value, scratch)
      return scratch.length + (scratch.length < 126 ? 1 : 4)
    }
  }
  return (value) => {
    const bytes = Buffer.byteLength(value as string)
    return bytes + (bytes < 126 ? 1 : 4)
  }
}

interface Run {
  readonly value: Value
  readonly count: number
}

function columnStatistics(
  column: ColumnRow,
  type: Type,
  values: readonly Value[],
  totalRows: number,
): ColumnStatistics {
  const rows = values.length
  const width = widthOf(type)
  let nulls = 0
  let bytes = 0
  const present: { readonly value: Value; readonly at: number }[] = []
  values.forEach((value) => {
    if (value === null) nulls++
    else {
      bytes += width(value)
      present.push({ value, at: present.length })
    }
  })
  const nullFraction = rows === 0 ? 0 : nulls / rows
  const base = { column: column.number, nullFraction, averageWidth: present.length === 0 ? 0 : bytes / present.length }
  const nothing = { distinct: 0, commonValues: [], commonFrequencies: [], histogram: [], correlation: 0 }
  const { compare } = type
  if (present.length === 0) return { ...base, ...nothing }
  if (compare === undefined) {
    if (type.hashKey === undefined) return { ...base, ...nothing, distinct: -1 }
    const counts = new Map<unknown, number>()
    for (const { value } of present) counts.set(type.hashKey(value), (counts.get(type.hashKey(value)) ?? 0) + 1)
    const once = [...counts.values()].filter((n) => n === 1).length
    return { ...base, ...nothing, distinct: distinctValues(counts.size, once, present.length, totalRows, nullFraction) }
  }
  const sorted = [...present].sort((a, b) => compare(a.value, b.value) || a.at - b.at)
  const runs: Run[] = []
  let xy = 0
  for (let i = 0; i < sorted.length; ) {
    let end = i
    while (end < sorted.length && compare(sorted[end]!.value, sorted[i]!.value) === 0) {
      xy += end * sorted[end]!.at
      end++
    }
    runs.push({ value: sorted[i]!.value, count: end - i })
    i = end
  }
  const once = runs.reduce((n, run) => n + (run.count === 1 ? 1 : 0), 0)
  const distinct = distinctValues(runs.length, once, present.length, totalRows, nullFraction)
  const target = column.statisticsTarget ?? TARGET
  const common = commonRuns(runs, once, distinct, target, nullFraction, rows, totalRows)
  const chosen = new Set(common)
  const others = runs.filter((run) => !chosen.has(run))
  return {
    ...base,
    distinct,
    commonValues: common.map((run) => run.value),
    commonFrequencies: common.map((run) => run.count / rows),
    histogram: bounds(others, target),
    correlation: correlation(xy, present.length),
  }
}

/** As pg_statistic.stadistinct: a count, or minus a fraction of the rows when it seems to grow with them. */
function distinctValues(d: number, once: number, present: number, total: number, nullFraction: number): number {
  if (once === d) return -(1 - nullFraction)
  let estimate: number
  if (once === 0) estimate = d
  else {
    const all = total * (1 - nullFraction)
    estimate = all > 0 ? (present * d) / (present - once + (once * present) / all) : 0
    estimate = Math.floor(Math.min(Math.max(estimate, d), all) + 0.5)
  }
  return estimate > 0.1 * total ? -(estimate / total) : estimate
}

/** PostgreSQL's choice: all values when they are few and the sample is everything; else those clearly more common than the rest. */
function commonRuns(
  runs: readonly Run[],
  once: number,
  distinct: number,
  target: number,
  nullFraction: number,
  rows: number,
  total: number,
): Run[] {
  if (once === 0 && distinct > 0 && runs.length <= target) return [...runs].sort((a, b) => b.count - a.count)
  const candidates = runs
    .filter((run) => run.count > 1)
    .sort((a, b) => b.count - a.count)
    .slice(0, target)
  if (rows === total || total <= 1) return candidates
  const all = distinct < 0 ? -distinct * total : distinct
  let n = candidates.length
  let sum = candidates.slice(0, Math.max(0, n - 1)).reduce((s, run) => s + run.count, 0)
  while (n > 0) {
    let share = Math.min(1, Math.max(0, 1 - sum / rows - nullFraction))
    const left = all - (n - 1)
    if (left > 1) share /= left
    const count = candidates[n - 1]!.count
    const k = (total * count) / rows
    const variance = (rows * k * (total - k) * (total - rows)) / (total * total * (total - 1))
    if (count > share * rows + 2 * Math.sqrt(variance) + 0.5) break
    n--
    if (n > 0) sum -= candidates[n - 1]!.count
  }
  return candidates.slice(0, n)
}

/** Bounds of at most `target` buckets with equally many rows. */
function bounds(runs: readonly Run[], target: number): Value[] {
  const buckets = Math.min(runs.length, target + 1)
  if (buckets < 2) return []
  const rows = runs.reduce((n, run) => n + run.count, 0)
  const out: Value[] = []
  let at = 0
  let passed = runs[0]!.count
  for (let i = 0; i < buckets; i++) {
    const wanted = Math.floor((i * (rows - 1)) / (buckets - 1))
    while (passed <= wanted) passed += runs[++at]!.count
    out.push(runs[at]!.value)
  }
  return out
}

function correlation(xy: number, n: number): number {
  if (n < 2) return n === 1 ? 1 : 0
  const sum = ((n - 1) * n) / 2
  const squares = ((n - 1) * n * (2 * n - 1)) / 6
  return (n * xy - sum * sum) / (n * squares - sum * sum)
}
