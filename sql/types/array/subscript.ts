/**
 * Subscripts: `a[i][j]`, `a[1:2]`, and their assignments in UPDATE and INSERT. Plain functions for the executor, which
 * handles NULL subscripts itself: a fetch is then NULL, an assignment 22004. A one-dimensional array grows to take an
 * assignment, the gap filled with NULL. https://www.postgresql.org/docs/15/arrays.html#ARRAYS-MODIFYING
 */
import { sqlError } from '../error.ts'
import { ArrayValue, type Value } from '../value.ts'
import { DIMENSIONS_MAX, EMPTY_ARRAY, shaped, tooManyDimensions } from './shape.ts'

/** One `[lower:upper]`; an omitted bound is undefined and means the array's own. */
export interface SliceBound {
  readonly lower: number | undefined
  readonly upper: number | undefined
}

const wrongSubscripts = () => sqlError('2202E', 'wrong number of array subscripts')
const outOfRange = () => sqlError('2202E', 'array subscript out of range')
const tooSmall = () => sqlError('2202E', 'source array too small')
const crossedBounds = () => sqlError('2202E', 'upper bound cannot be less than lower bound')

/** The place in `elements`, or -1 when a subscript lies outside. */
function offsetOf(array: ArrayValue, indices: readonly number[]): number {
  let offset = 0
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i]! - array.lower[i]!
    if (at < 0 || at >= array.dimensions[i]!) return -1
    offset = offset * array.dimensions[i]! + at
  }
  return offset
}

/** `array[i][j]…`: NULL when outside or when there are more or fewer subscripts than dimensions. */
export function subscript(array: ArrayValue, indices: readonly number[]): Value {
  if (indices.length !== array.dimensions.length || indices.length === 0) return null
  const offset = offsetOf(array, indices)
  return offset < 0 ? null : array.elements[offset]!
}

/** The offsets of a box, in row-major order. */
function* boxOffsets(array: ArrayValue, from: readonly number[], lengths: readonly number[]): Generator<number> {
  const last = lengths.length - 1
  const at = lengths.map(() => 0)
  for (;;) {
    let offset = 0
    for (let i = 0; i <= last; i++) offset = offset * array.dimensions[i]! + from[i]! - array.lower[i]! + at[i]!
    yield offset
    let level = last
    while (level >= 0 && ++at[level]! >= lengths[level]!) at[level--] = 0
    if (level < 0) return
  }
}

/** `array[l:u][l:u]…`: what of it there is, numbered from 1; the empty array when nothing is. */
export function slice(array: ArrayValue, bounds: readonly SliceBound[]): ArrayValue {
  const count = array.dimensions.length
  if (count < bounds.length || count === 0) return EMPTY_ARRAY
  const from: number[] = []
  const lengths: number[] = []
  for (let i = 0; i < count; i++) {
    const low = array.lower[i]!
    const high = low + array.dimensions[i]! - 1
    const lower = Math.max(low, bounds[i]?.lower ?? low)
    const upper = Math.min(high, bounds[i]?.upper ?? high)
    if (lower > upper) return EMPTY_ARRAY
    from.push(lower)
    lengths.push(upper - lower + 1)
  }
  const elements: Value[] = []
  for (const offset of boxOffsets(array, from, lengths)) elements.push(array.elements[offset]!)
  return new ArrayValue(
    elements,
    lengths,
    lengths.map(() => 1),
  )
}

function checkSubscriptCount(count: number): void {
  if (count > DIMENSIONS_MAX) throw tooManyDimensions(count)
}

/** A one-dimensional array stretched to reach from `lower` to `upper` too, with NULL in the gaps. */
function stretched(array: ArrayValue, lower: number, upper: number): { elements: Value[]; low: number } {
  const low = array.lower[0]!
  const newLow = Math.min(low, lower)
  const high = Math.max(low + array.dimensions[0]! - 1, upper)
  // Checked before anything of that size is made.
  shaped([], [high - newLow + 1], [newLow])
  const elements: Value[] = new Array(high - newLow + 1).fill(null)
  for (let i = 0; i < array.elements.length; i++) elements[low - newLow + i] = array.elements[i]!
  return { elements, low: newLow }
}

/** `SET a[i] = value`; `array` null is taken as empty. Throws 2202E, 54000. */
export function assignSubscript(array: ArrayValue | null, indices: readonly number[], value: Value): ArrayValue {
  checkSubscriptCount(indices.length)
  if (array === null || array.dimensions.length === 0)
    return shaped(
      [value],
      indices.map(() => 1),
      indices,
    )
  if (array.dimensions.length !== indices.length) throw wrongSubscripts()
  if (indices.length === 1) {
    const index = indices[0]!
    const { elements, low } = stretched(array, index, index)
    elements[index - low] = value
    return new ArrayValue(elements, [elements.length], [low])
  }
  const offset = offsetOf(array, indices)
  if (offset < 0) throw outOfRange()
  const elements = [...array.elements]
  elements[offset] = value
  return new ArrayValue(elements, array.dimensions, array.lower)
}

/** `SET a[l:u] = source`; a NULL source changes nothing, surplus source elements are dropped. Throws 2202E, 54000. */
export function assignSlice(
  array: ArrayValue | null,
  bounds: readonly SliceBound[],
  source: ArrayValue | null,
): ArrayValue | null {
  checkSubscriptCount(bounds.length)
  if (source === null) return array
  if (array === null || array.dimensions.length === 0) {
    const dimensions: number[] = []
    const lower: number[] = []
    for (const bound of bounds) {
      if (bound.lower === undefined || bound.upper === undefined)
        throw sqlError('2202E', 'array slice subscript must provide both boundaries', {
          detail: 'When assigning to a slice of an empty array value, slice boundaries must be fully specified.',
        })
      if (bound.upper < bound.lower) throw crossedBounds()
      dimensions.push(bound.upper - bound.lower + 1)
      lower.push(bound.lower)
    }
    shaped([], dimensions, lower)
    const items = dimensions.reduce((product, length) => product * length, 1)
    if (source.elements.length < items) throw tooSmall()
    return new ArrayValue(source.elements.slice(0, items), dimensions, lower)
  }
  const count = array.dimensions.length
  if (count < bounds.length) throw wrongSubscripts()
  const from: number[] = []
  const lengths: number[] = []
  for (let i = 0; i < count; i++) {
    const low = array.lower[i]!
    const high = low + array.dimensions[i]! - 1
    const lower = bounds[i]?.lower ?? low
    const upper = bounds[i]?.upper ?? high
    if (lower > upper) throw crossedBounds()
    if (count > 1 && (lower < low || upper > high)) throw outOfRange()
    from.push(lower)
    lengths.push(upper - lower + 1)
  }
  const items = lengths.reduce((product, length) => product * length, 1)
  if (count === 1) {
    const lower = from[0]!
    if (items > source.elements.length) throw tooSmall()
    const { elements, low } = stretched(array, lower, lower + items - 1)
    for (let i = 0; i < items; i++) elements[lower - low + i] = source.elements[i]!
    return new ArrayValue(elements, [elements.length], [low])
  }
  if (items > source.elements.length) throw tooSmall()
  const elements = [...array.elements]
  let next = 0
  for (const offset of boxOffsets(array, from, lengths)) elements[offset] = source.elements[next++]!
  return new ArrayValue(elements, array.dimensions, array.lower)
}
