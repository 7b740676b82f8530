/**
 * An outer and an inner row as one. Code written out for the widths makes the row in one allocation, four times as fast
 * as concat; it is made once for each pair of widths and kept for the process.
 */
import type { Row, Value } from '../types/value.ts'
import type { MutableRow } from './operator.ts'

type Joiner = (outer: Row, inner: Row) => MutableRow
const joiners = new Map<number, Joiner>()
/** Wider rows are concatenated. */
const WIDTH_MAX = 64

export function rowJoiner(outerWidth: number, innerWidth: number): Joiner {
  if (outerWidth + innerWidth > WIDTH_MAX) return (outer, inner) => outer.concat(inner)
  const id = outerWidth * (WIDTH_MAX + 1) + innerWidth
  let joiner = joiners.get(id)
  if (joiner === undefined) {
    const items = [
      ...Array.from({ length: outerWidth }, (_, i) => `outer[${i}]`),
      ...Array.from({ length: innerWidth }, (_, i) => `inner[${i}]`),
    ]
    joiner = new Function('outer', 'inner', `return [${items.join(', ')}]`) as Joiner
    joiners.set(id, joiner)
  }
  return joiner
}

type Widener = (row: Row, columns: readonly (readonly Value[])[], at: number) => MutableRow
const wideners = new Map<number, Widener>()

/** A row with the values of further columns at its position behind it; pushing them would leave each row with room for many more. */
export function rowWidener(width: number, added: number): Widener {
  if (width + added > WIDTH_MAX) return (row, columns, at) => row.concat(columns.map((column) => column[at]!))
  const id = width * (WIDTH_MAX + 1) + added
  let widener = wideners.get(id)
  if (widener === undefined) {
    const items = [
      ...Array.from({ length: width }, (_, i) => `row[${i}]`),
      ...Array.from({ length: added }, (_, i) => `columns[${i}][at]`),
    ]
    widener = new Function('row', 'columns', 'at', `return [${items.join(', ')}]`) as Widener
    wideners.set(id, widener)
  }
  return widener
}
