/**
 * A stored row, written once and read in place:
 *
 *     u16 n | null bits, ceil(n/8) bytes | slots in attribute order | variable part
 *
 *     slot    bool 1 · int16 2 · int32, float32, date 4 · int64, float64, timestamp 8 · variable 4: where it ends in the
 *             variable part, and in bit 31 whether it is plain ASCII text
 *
 * Slots of NULLs and of dropped columns stay, so where a column lies depends on the table alone. A row written before
 * ALTER TABLE … ADD COLUMN has a smaller n: the columns it lacks have their `missing` value, or NULL.
 *
 * Readers and writers are generated for a table's layout. A scan puts `columnSource` into its own loop, so that it decodes
 * what its filter needs, and the rest only of rows that pass. Numbers are little-endian.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import { FIRST_USER_OID } from '../catalog/bootstrap.ts'
import type { ColumnRow, RelationRow } from '../catalog/catalog.ts'
import { createByteWriter, type ResettableByteWriter } from '../types/bytes.ts'
import type { RowStorage, Type, TypeLookup } from '../types/type.ts'
import type { Int64, Row, Value } from '../types/value.ts'

declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string
    utf8Slice(start?: number, end?: number): string
  }
}

export type SlotKind = RowStorage['kind']

const WIDTHS: Readonly<Record<SlotKind, number>> = {
  bool: 1,
  int16: 2,
  int32: 4,
  uint32: 4,
  date: 4,
  float32: 4,
  int64: 8,
  float64: 8,
  timestamp: 8,
  text: 4,
  bytes: 4,
}
const ASCII = 0x8000_0000
const LENGTH = 0x7fff_ffff
const isVariable = (kind: SlotKind) => kind === 'text' || kind === 'bytes'

export interface Slot {
  /** Attribute number. */
  readonly number: number
  readonly kind: SlotKind
  /** Undefined for a dropped column. */
  readonly type: Type | undefined
  /** From the first slot. */
  readonly offset: number
  /** Offset of the slot of the variable column before this one, or -1. */
  readonly before: number
  readonly notNull: boolean
  readonly missing: Value
}

export interface RowLayout {
  /** By attribute number - 1. */
  readonly slots: readonly Slot[]
  /** Those of live columns, in order: what rows of values have. */
  readonly live: readonly Slot[]
  /** Bytes of the first n slots, by n. */
  readonly widths: readonly number[]
}

export function rowLayout(columns: readonly ColumnRow[], types: TypeLookup): RowLayout {
  const widths = [0]
  let offset = 0
  let before = -1
  const slots = columns.map((column): Slot => {
    const type = column.dropped ? undefined : types.type(column.type)
    const kind = type?.storage.kind ?? column.storage
    invariant(kind !== undefined, `the dropped column ${column.number} has no storage`)
    const slot: Slot = {
      number: column.number,
      kind,
      type,
      offset,
      before,
      notNull: column.notNull && !column.dropped,
      missing: column.missing?.value ?? null,
    }
    if (isVariable(kind)) before = offset
    offset += WIDTHS[kind]
    widths.push(offset)
    return slot
  })
  return { slots, live: slots.filter((slot) => slot.type !== undefined), widths }
}

const layouts = new WeakMap<RelationRow, RowLayout>()

/** The table's layout, made once for a descriptor (and anew when a user's type has another meaning). */
export function layoutOf(table: RelationRow, types: TypeLookup): RowLayout {
  const known = layouts.get(table)
  if (known?.live.every(({ type }) => type!.oid < FIRST_USER_OID || types.type(type!.oid) === type) === true)
    return known
  const made = rowLayout(table.columns, types)
  layouts.set(table, made)
  return made
}

/** The column as it stays after ALTER TABLE … DROP COLUMN: its slot keeps its place in stored rows. */
export function droppedColumn(column: ColumnRow, types: TypeLookup): ColumnRow {
  const { default: _, generated, identity, missing, acl, ...rest } = column
  return {
    ...rest,
    name: `........pg.dropped.${column.number}........`,
    type: 0 as ColumnRow['type'],
    notNull: false,
    dropped: true,
    storage: types.type(column.type).storage.kind,
  }
}

// ---- reading

/** What generated readers call. */
const readers = {
  date: (days: number): number =>
    days === 0x7fff_ffff ? Number.POSITIVE_INFINITY : days === -0x8000_0000 ? Number.NEGATIVE_INFINITY : days,
  int64(view: DataView, at: number): Int64 {
    const low = view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    if (high === low >> 31) return low
    if (high >= -0x20_0000 && high < 0x20_0000) {
      const n = high * 0x1_0000_0000 + (low >>> 0)
      if (n !== -0x20_0000_0000_0000) return n
    }
    return view.getBigInt64(at, true)
  },
  instant(view: DataView, at: number): Int64 {
    const low = view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    if (high >= -0x20_0000 && high < 0x20_0000) {
      const n = high * 0x1_0000_0000 + (low >>> 0)
      if (n !== -0x20_0000_0000_0000) return n
    }
    if (high === 0x7fff_ffff && low === -1) return Number.POSITIVE_INFINITY
    if (high === -0x8000_0000 && low === 0) return Number.NEGATIVE_INFINITY
    return view.getBigInt64(at, true)
  },
  /** `end`: a variable slot. */
  text(bytes: Buffer, start: number, base: number, end: number): string {
    return end >= ASCII ? bytes.latin1Slice(start, base + end - ASCII) : bytes.utf8Slice(start, base + end)
  },
}

/** DataViews of buffers; the last one is kept, since rows come again and again in the same buffer. */
function lastView(): (buffer: Buffer) => DataView {
  let viewed: Buffer | undefined
  let view: DataView = new DataView(new ArrayBuffer(0))
  return (buffer) => {
    if (buffer !== viewed) {
      viewed = buffer
      view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    }
    return view
  }
}
/** For reading. */
export const viewOf = lastView()
const writerView = lastView()

/** Names of values that generated source needs: `bind` makes them known and returns their name. */
export type Bind = (value: unknown) => string

/**
 * Source that prepares reading the row at `at` of buffer `b`, DataView `v`: declares `n`, `base` and `vars`. With the
 * columns wanted, leaves out what they do not need.
 */
export function rowPrelude(layout: RowLayout, bind: Bind): string {
  const { slots, widths } = layout
  const count = slots.length
  const width = widths[count]!
  return `const n = b[at] | b[at + 1] << 8, base = at + 2 + (n + 7 >> 3), vars = base + (n === ${count} ? ${width} : ${bind(widths)}[n])`
}

/** An expression that reads the column, after `rowPrelude`. `bind` is asked once a helper and value. */
export function columnSource(layout: RowLayout, attribute: number, bind: Bind): string {
  const slot = layout.slots[attribute - 1]
  invariant(slot?.type !== undefined, `no column ${attribute}`)
  const value = slotSource(slot, bind)
  if (slot.notNull && slot.missing === null) return value
  const i = attribute - 1
  if (slot.missing !== null) return `(n <= ${i} ? ${bind(slot.missing)} : ${isMarkedSource(i)} ? null : ${value})`
  return `(${isNullSource(attribute)} ? null : ${value})`
}

const isMarkedSource = (i: number) => `(b[at + ${2 + (i >> 3)}] & ${1 << (i & 7)}) !== 0`
const isNullSource = (attribute: number) => `n <= ${attribute - 1} || ${isMarkedSource(attribute - 1)}`

/**
 * Where the column's bytes lie in buffer `b`, after `rowPrelude`, of a type that reads them itself: a test for NULL (undefined:
 * it never is), start and end. undefined for other columns.
 */
export function storedSource(
  layout: RowLayout,
  attribute: number,
): { readonly isNull: string | undefined; readonly start: string; readonly end: string } | undefined {
  const slot = layout.slots[attribute - 1]
  if (slot?.type === undefined || slot.kind !== 'bytes' || slot.missing !== null) return undefined
  const { start, end } = bytesOf(slot)
  return { isNull: slot.notNull ? undefined : isNullSource(attribute), start, end }
}

/** Whether columnSource never gives NULL. */
export const isNeverNull = (layout: RowLayout, attribute: number): boolean =>
  layout.slots[attribute - 1]?.notNull === true

const placeOf = (slot: Slot) => (slot.offset === 0 ? 'base' : `base + ${slot.offset}`)

/** Where a variable column lies. */
function bytesOf(slot: Slot): { readonly start: string; readonly end: string } {
  return {
    start: slot.before < 0 ? 'vars' : `vars + (v.getInt32(base + ${slot.before}, true) & ${LENGTH})`,
    end: `vars + (v.getInt32(${placeOf(slot)}, true) & ${LENGTH})`,
  }
}

function slotSource(slot: Slot, bind: Bind): string {
  const at = placeOf(slot)
  const { start, end } = bytesOf(slot)
  switch (slot.kind) {
    case 'bool':
      return `(b[${at}] === 1)`
    case 'int16':
      return `v.getInt16(${at}, true)`
    case 'int32':
      return `v.getInt32(${at}, true)`
    case 'uint32':
      return `v.getUint32(${at}, true)`
    case 'float32':
      return `v.getFloat32(${at}, true)`
    case 'float64':
      return `v.getFloat64(${at}, true)`
    case 'date':
      return `${bind(readers.date)}(v.getInt32(${at}, true))`
    case 'int64':
      return `${bind(readers.int64)}(v, ${at})`
    case 'timestamp':
      return `${bind(readers.instant)}(v, ${at})`
    case 'text':
      return `${bind(readers.text)}(b, ${start}, vars, v.getUint32(${at}, true))`
    case 'bytes':
      return `${bind(slot.type!.storage)}.read(b, ${start}, ${end})`
  }
}

/** A table of names for `new Function`. */
class Bindings {
  readonly names: string[] = []
  readonly values: unknown[] = []
  readonly bind: Bind = (value) => {
    const known = this.values.indexOf(value)
    if (known >= 0) return this.names[known]!
    const name = `k${this.names.length}`
    this.names.push(name)
    this.values.push(value)
    return name
  }
  make<F>(source: string): F {
    return new Function(...this.names, `'use strict'; return ${source}`)(...this.values) as F
  }
}

/** System columns a scan can give: tableoid. */
export const TABLE_OID = -6

/** The wanted columns of the row that lies at `at`. */
export type RowReader = (buffer: Buffer, at: number) => Value[]
const rowReaders = new WeakMap<RowLayout, Map<string, RowReader>>()

/** A reader of these attribute numbers; one is kept for each list that was asked for. */
export function rowReader(layout: RowLayout, wanted: readonly number[], tableOid = 0): RowReader {
  let known = rowReaders.get(layout)
  if (known === undefined) rowReaders.set(layout, (known = new Map()))
  const name = wanted.join()
  let reader = known.get(name)
  if (reader === undefined) {
    const bindings = new Bindings()
    const { bind } = bindings
    const columns = wanted.map((number) =>
      number === TABLE_OID ? String(tableOid) : number === NO_COLUMN ? 'null' : columnSource(layout, number, bind),
    )
    reader = bindings.make<RowReader>(
      `(b, at) => { const v = ${bind(viewOf)}(b); ${rowPrelude(layout, bind)}; return [${columns.join(', ')}] }`,
    )
    known.set(name, reader)
  }
  return reader
}

/** All live columns, NULL in the place of those that are not among the attribute numbers. */
export function partialRowReader(layout: RowLayout, attributes: ReadonlySet<number>): RowReader {
  const wanted = layout.live.map((slot) => (attributes.has(slot.number) ? slot.number : NO_COLUMN))
  return rowReader(layout, wanted)
}
const NO_COLUMN = 0

/** All live columns. */
export const wholeRowReader = (layout: RowLayout): RowReader =>
  rowReader(
    layout,
    layout.live.map((slot) => slot.number),
  )

// ---- writing

/** What generated writers call. */
const writers = {
  int64(to: DataView, at: number, n: Int64): void {
    if (typeof n === 'bigint') to.setBigInt64(at, n, true)
    else {
      to.setInt32(at, n | 0, true)
      to.setInt32(at + 4, (n | 0) === n ? n >> 31 : Math.floor(n / 0x1_0000_0000), true)
    }
  },
  instant(to: DataView, at: number, n: Int64): void {
    if (n === Number.POSITIVE_INFINITY) {
      to.setInt32(at, -1, true)
      to.setInt32(at + 4, 0x7fff_ffff, true)
    } else if (n === Number.NEGATIVE_INFINITY) {
      to.setInt32(at, 0, true)
      to.setInt32(at + 4, -0x8000_0000, true)
    } else writers.int64(to, at, n)
  },
  date: (days: number): number =>
    days === Number.POSITIVE_INFINITY ? 0x7fff_ffff : days === Number.NEGATIVE_INFINITY ? -0x8000_0000 : days,
}

/** Encodes a row of live columns. The writer that comes back is reused by the next call: take `buffer[0, length)` at once. */
export type RowWriter = (row: Row) => ResettableByteWriter
const rowWriters = new WeakMap<RowLayout, RowWriter>()
/** All writers share one: a row is put into the transaction as soon as it is encoded. */
const scratch = createByteWriter(64 << 10)

export function rowWriter(layout: RowLayout): RowWriter {
  let writer = rowWriters.get(layout)
  if (writer === undefined) rowWriters.set(layout, (writer = compileRowWriter(layout)))
  return writer
}

function compileRowWriter(layout: RowLayout): RowWriter {
  const { slots, widths } = layout
  const count = slots.length
  const head = 2 + ((count + 7) >> 3)
  const fixed = head + widths[count]!
  const bindings = new Bindings()
  const { bind } = bindings
  const to = bind(scratch)
  const lines: string[] = [`${to}.reset(); ${to}.reserve(${fixed}); let start = ${fixed}`]
  for (let byte = 0; byte < head - 2; byte++) lines.push(`let m${byte} = 0`)
  const setNull = (i: number) => `m${i >> 3} |= ${1 << (i & 7)}`
  // The variable part first: the buffer may grow with it.
  let position = 0
  const positions = slots.map((slot) => (slot.type === undefined ? -1 : position++))
  slots.forEach((slot, i) => {
    if (slot.type === undefined) {
      lines.push(setNull(i))
      if (isVariable(slot.kind)) lines.push(`const e${i} = start - ${fixed}`)
      return
    }
    lines.push(`const c${i} = row[${positions[i]}]`)
    if (!isVariable(slot.kind)) return
    lines.push(`let e${i} = 0`)
    const write =
      slot.kind === 'text'
        ? `${to}.text(c${i}); if (${to}.length - start === c${i}.length) e${i} = ${ASCII | 0}`
        : `${bind(slot.type.storage)}.write(c${i}, ${to})`
    lines.push(
      `if (c${i} === null) ${setNull(i)}; else { ${write}; start = ${to}.length }`,
      `e${i} |= start - ${fixed}`,
    )
  })
  lines.push(`const v = ${bind(writerView)}(${to}.buffer)`, `v.setUint16(0, ${count}, true)`)
  slots.forEach((slot, i) => {
    const at = head + slot.offset
    if (isVariable(slot.kind)) lines.push(`v.setInt32(${at}, e${i}, true)`)
    else {
      const zero = slotWrite(slot.kind, at, '0', bind)
      lines.push(
        slot.type === undefined
          ? zero
          : `if (c${i} === null) { ${setNull(i)}; ${zero} } else ${slotWrite(slot.kind, at, `c${i}`, bind)}`,
      )
    }
  })
  for (let byte = 0; byte < head - 2; byte++) lines.push(`v.setUint8(${2 + byte}, m${byte})`)
  lines.push(`return ${to}`)
  return bindings.make(`(row) => { ${lines.join('\n')} }`)
}

function slotWrite(kind: SlotKind, at: number, value: string, bind: Bind): string {
  switch (kind) {
    case 'bool':
      return `v.setUint8(${at}, ${value} ? 1 : 0)`
    case 'int16':
      return `v.setInt16(${at}, ${value}, true)`
    case 'int32':
    case 'uint32':
      return `v.setInt32(${at}, ${value}, true)`
    case 'float32':
      return `v.setFloat32(${at}, ${value}, true)`
    case 'float64':
      return `v.setFloat64(${at}, ${value}, true)`
    case 'date':
      return `v.setInt32(${at}, ${bind(writers.date)}(${value}), true)`
    case 'int64':
      return `${bind(writers.int64)}(v, ${at}, ${value})`
    case 'timestamp':
      return `${bind(writers.instant)}(v, ${at}, ${value})`
    case 'text':
    case 'bytes':
      return ''
  }
}
