/** How much an operator holds: estimates of rows' bytes against the execution's work_mem. */
import { sqlError } from '../types/error.ts'
import { ArrayValue, Jsonb, RecordValue, type Row, SparseVector, type Value } from '../types/value.ts'
import type { RowBatch } from './operator.ts'

/** A row's fixed part: the array and its header. */
const ROW_BYTES = 40

function valueBytes(value: Value): number {
  if (typeof value === 'string') return 24 + value.length
  if (value === null || typeof value !== 'object') return 8
  if (ArrayBuffer.isView(value)) return 120 + value.byteLength
  if (value instanceof ArrayValue) return 80 + rowBytes(value.elements)
  if (value instanceof RecordValue) return 60 + rowBytes(value.values)
  if (value instanceof Jsonb) return 400
  if (value instanceof SparseVector) return 300 + 8 * value.indices.length
  return 56
}
export function rowBytes(row: Row): number {
  let bytes = ROW_BYTES
  for (const value of row) bytes += valueBytes(value)
  return bytes
}
/** Rows looked at in each batch; the others are taken to be alike. */
const SAMPLE = 16
export function batchBytes(batch: RowBatch): number {
  const stride = Math.max(1, Math.floor(batch.length / SAMPLE))
  let bytes = 0
  let seen = 0
  for (let i = 0; i < batch.length; i += stride) {
    bytes += rowBytes(batch[i]!)
    seen++
  }
  return seen === 0 ? 0 : (bytes / seen) * batch.length
}

/** What one operator of one execution holds. */
export class Memory {
  bytes = 0
  readonly #limit: number
  readonly #what: string
  constructor(limitBytes: number, what: string) {
    this.#limit = limitBytes
    this.#what = what
  }
  get full(): boolean {
    return this.bytes > this.#limit
  }
  add(bytes: number): void {
    this.bytes += bytes
  }
  /** For operators that cannot spill: throws 53200. */
  addRows(batch: RowBatch): void {
    this.bytes += batchBytes(batch)
    if (this.full)
      throw sqlError('53200', 'out of memory', {
        detail: `A ${this.#what} needs more than work_mem (${Math.round(this.#limit / 1024)} kB).`,
        hint: 'Increase work_mem.',
      })
  }
}
