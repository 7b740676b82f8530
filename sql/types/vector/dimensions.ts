/**
 * What vectors of all types check alike: how many dimensions they have and may have, and that their elements are finite.
 * Errors are pgvector's: 22000 for wrong data, 54000 for too much of it, 22023 and 22P02 for a modifier.
 */
import { sqlError } from '../error.ts'

export type VectorTypeName = 'vector' | 'halfvec' | 'sparsevec'

export const DIMENSIONS_MAX = 16_000
const SPARSE_DIMENSIONS_MAX = 1_000_000_000
/** Elements of a sparsevec that are not 0. */
export const NONZERO_MAX = 16_000

const MAX: Readonly<Record<VectorTypeName, number>> = {
  vector: DIMENSIONS_MAX,
  halfvec: DIMENSIONS_MAX,
  sparsevec: SPARSE_DIMENSIONS_MAX,
}

export function checkDimensionCount(type: VectorTypeName, count: number): void {
  if (count < 1) throw sqlError('22000', `${type} must have at least 1 dimension`)
  if (count > MAX[type]) throw sqlError('54000', `${type} cannot have more than ${MAX[type]} dimensions`)
}

export function checkNonZeroCount(count: number, dimensions: number): void {
  if (count < 0) throw sqlError('22000', 'sparsevec cannot have negative number of elements')
  if (count > NONZERO_MAX) throw sqlError('54000', `sparsevec cannot have more than ${NONZERO_MAX} non-zero elements`)
  if (count > dimensions) throw sqlError('54000', 'sparsevec cannot have more elements than dimensions')
}

/** Against a column's modifier, or the dimensions of what came before. */
export function checkExpected(typmod: number, count: number): void {
  if (typmod !== -1 && typmod !== count) throw sqlError('22000', `expected ${typmod} dimensions, not ${count}`)
}

export function checkSame(type: VectorTypeName, a: number, b: number): void {
  if (a !== b) throw sqlError('22000', `different ${type} dimensions ${a} and ${b}`)
}

export function checkFinite(type: VectorTypeName, n: number): void {
  if (Number.isNaN(n)) throw sqlError('22000', `NaN not allowed in ${type}`)
  if (n === Infinity || n === -Infinity) throw sqlError('22000', `infinite value not allowed in ${type}`)
}

/** A modifier is the number of dimensions. */
export const dimensionsTypmod =
  (type: VectorTypeName) =>
  (args: readonly string[]): number => {
    const numbers = args.map((arg) => {
      if (!/^\s*[+-]?\d+\s*$/.test(arg)) throw sqlError('22P02', `invalid input syntax for type integer: "${arg}"`)
      return Number(arg)
    })
    const [count] = numbers
    if (numbers.length !== 1 || count === undefined) throw sqlError('22023', 'invalid type modifier')
    if (count < 1) throw sqlError('22023', `dimensions for type ${type} must be at least 1`)
    if (count > MAX[type]) throw sqlError('22023', `dimensions for type ${type} cannot exceed ${MAX[type]}`)
    return count
  }

/** A message that ends before its value does; one that goes on behind it. */
export const insufficient = () => sqlError('08P01', 'insufficient data left in message')
export const tooLong = () => sqlError('22P03', 'incorrect binary data format')

export const overflow = () => sqlError('22003', 'value out of range: overflow')
export const underflow = () => sqlError('22003', 'value out of range: underflow')

/** The dimensions of a dense vector's binary form: an int16 of them, an int16 0. */
export function receiveDimensions(
  type: VectorTypeName,
  from: Buffer,
  start: number,
  end: number,
  typmod: number,
): number {
  if (end - start < 4) throw insufficient()
  const count = from.readUInt16BE(start)
  checkDimensionCount(type, count)
  checkExpected(typmod, count)
  checkUnused(from.readUInt16BE(start + 2))
  return count
}

export function checkUnused(unused: number): void {
  if (unused !== 0) throw sqlError('22000', `expected unused to be 0, not ${unused}`)
}
