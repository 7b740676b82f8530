/** The limits on an array's shape, and what breaks them: six dimensions, 2^24 - 1 elements, bounds within int4. */
import { sqlError } from '../error.ts'
import { ArrayValue } from '../value.ts'

export const DIMENSIONS_MAX = 6
/** PostgreSQL's bound, by which it refuses; and ours: an array's elements are objects of the server's own memory. */
const POSTGRES_ITEMS_MAX = 134_217_727
export const ITEMS_MAX = 16_777_215
const INT32_MAX = 2_147_483_647

export const EMPTY_ARRAY = ArrayValue.of([])

export const tooManyDimensions = (count: number) =>
  sqlError('54000', `number of array dimensions (${count}) exceeds the maximum allowed (${DIMENSIONS_MAX})`)

export const arrayTooLarge = (most = ITEMS_MAX) => sqlError('54000', `array size exceeds the maximum allowed (${most})`)

/** The product of the dimensions; 54000 when it is more than an array can hold. */
export function itemCount(dimensions: readonly number[]): number {
  if (dimensions.length === 0) return 0
  let items = 1
  for (const length of dimensions) {
    if (length < 0) throw arrayTooLarge(POSTGRES_ITEMS_MAX)
    items *= length
    if (items > INT32_MAX) throw arrayTooLarge(POSTGRES_ITEMS_MAX)
  }
  if (items > POSTGRES_ITEMS_MAX) throw arrayTooLarge(POSTGRES_ITEMS_MAX)
  if (items > ITEMS_MAX) throw arrayTooLarge()
  return items
}

/** 54000 when a dimension's upper bound does not fit into an int4. */
export function checkBounds(dimensions: readonly number[], lower: readonly number[]): void {
  for (let i = 0; i < dimensions.length; i++)
    if (dimensions[i]! + lower[i]! > INT32_MAX) throw sqlError('54000', `array lower bound is too large: ${lower[i]!}`)
}

/** An array of this shape, checked; the empty array when a dimension is zero. */
export function shaped(
  elements: ArrayValue['elements'],
  dimensions: readonly number[],
  lower: readonly number[],
): ArrayValue {
  const items = itemCount(dimensions)
  checkBounds(dimensions, lower)
  return items === 0 ? EMPTY_ARRAY : new ArrayValue(elements, dimensions, lower)
}
