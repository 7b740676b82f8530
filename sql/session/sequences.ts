/**
 * Sequences: their state is unversioned, changed at once and never rolled back, as PostgreSQL's. The state in the store runs
 * ahead: a block of PREFETCH values is reserved with one write, so that after a crash some values are skipped and none is
 * given twice. A write is ordered before every later commit, so a committed row's value is always covered.
 *
 *     store: next = 33            memory: next = 7, reserved up to 32
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { sequenceKey } from '../../storage/keys/map.ts'
import type { Kv } from '../../storage/kv/kv.ts'
import type { RelationRow, SequenceRow } from '../catalog/catalog.ts'
import { sqlError } from '../types/error.ts'
import type { Int64 } from '../types/value.ts'

const PREFETCH = 32n

interface State {
  /** The last value given, or the start value when none has been. */
  value: Int64
  called: boolean
  /** Values up to here (in the direction of the increment) are covered by the store. */
  reserved: bigint
  /** So many more values are reserved and are numbers, as the increment is: there is nothing to look at. */
  left: number
}

/** One process's view of all sequences, by database and storage id: shared by its sessions. */
const shared = new WeakMap<Kv, Map<string, State>>()

const int64 = (value: bigint): Int64 =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value

export class SequenceCache {
  readonly #kv: Kv
  readonly #database: Oid
  readonly #states: Map<string, State>
  /** What this session has got: currval, by sequence oid. */
  readonly #current = new Map<Oid, Int64>()
  #last: Oid | undefined
  /** The sequence asked last, which is mostly the one asked next. */
  #lastRow: RelationRow | undefined
  #lastState: State | undefined
  /** Values taken ahead for this session (CACHE n). */
  readonly #cached = new Map<Oid, { next: bigint; left: bigint; readonly storage: number }>()

  constructor(kv: Kv, database: Oid) {
    this.#kv = kv
    this.#database = database
    let states = shared.get(kv)
    if (states === undefined) shared.set(kv, (states = new Map()))
    this.#states = states
  }

  #key(row: RelationRow) {
    return sequenceKey(this.#database, row.storageId)
  }

  #state(row: RelationRow): State {
    if (row === this.#lastRow) return this.#lastState!
    const name = `${this.#database}/${row.storageId}`
    let state = this.#states.get(name)
    if (state === undefined) {
      const stored = this.#kv.getState(this.#key(row))
      if (stored === undefined)
        state = {
          value: row.sequence!.start,
          called: false,
          reserved: BigInt(row.sequence!.start) - BigInt(row.sequence!.increment),
          left: 0,
        }
      else {
        const [value, called] = Buffer.from(stored).toString('latin1').split(' ')
        state = { value: int64(BigInt(value!)), called: called === '1', reserved: BigInt(value!), left: 0 }
      }
      this.#states.set(name, state)
    }
    this.#lastRow = row
    this.#lastState = state
    return state
  }

  #store(row: RelationRow, value: bigint, called: boolean): void {
    this.#kv.putState(this.#key(row), Buffer.from(`${value} ${called ? 1 : 0}`, 'latin1'))
  }

  /** A new sequence, or ALTER SEQUENCE RESTART (under a new storage id, so that it rolls back with its transaction). */
  create(row: RelationRow, value: Int64 = row.sequence!.start, called = false): void {
    const name = `${this.#database}/${row.storageId}`
    const reserved = called ? BigInt(value) : BigInt(value) - BigInt(row.sequence!.increment)
    const fresh: State = { value, called, reserved, left: 0 }
    // Sessions may know the state already: it stays the one there is.
    const known = this.#states.get(name)
    if (known === undefined) this.#states.set(name, fresh)
    else Object.assign(known, fresh)
    this.#store(row, BigInt(value), called)
  }
  /** Its state as it is now: for ALTER SEQUENCE, which copies it to a new storage id. */
  peek(row: RelationRow): { readonly value: Int64; readonly called: boolean } {
    const state = this.#state(row)
    return { value: state.value, called: state.called }
  }
  /** The sequence was dropped: what the session remembers of it goes. */
  forget(sequence: Oid): void {
    this.#current.delete(sequence)
    this.#cached.delete(sequence)
    if (this.#last === sequence) this.#last = undefined
  }

  /** Throws 2200H at the limit. */
  nextval(row: RelationRow): Int64 {
    const sequence = row.sequence!
    const value = sequence.cache === 1 ? this.#advance(row, sequence) : this.#cachedValue(row, sequence)
    this.#current.set(row.oid, value)
    this.#last = row.oid
    return value
  }

  #cachedValue(row: RelationRow, sequence: SequenceRow): Int64 {
    const increment = BigInt(sequence.increment)
    const cached = this.#cached.get(row.oid)
    let value: bigint
    if (cached !== undefined && cached.left > 0n && cached.storage === row.storageId) {
      value = cached.next
      cached.next += increment
      cached.left--
    } else {
      const cache = BigInt(sequence.cache)
      value = BigInt(this.#advance(row, sequence))
      if (cache > 1n) {
        let taken = 1n
        let last = value
        while (taken < cache && inRange(sequence, last + increment)) {
          last = BigInt(this.#advance(row, sequence))
          taken++
        }
        this.#cached.set(row.oid, { next: value + increment, left: taken - 1n, storage: row.storageId })
      }
    }
    return int64(value)
  }

  #advance(row: RelationRow, sequence: SequenceRow): Int64 {
    const state = this.#state(row)
    if (state.left > 0) {
      state.left--
      return (state.value = (state.value as number) + (sequence.increment as number))
    }
    const increment = BigInt(sequence.increment)
    let value = state.called ? BigInt(state.value) + increment : BigInt(state.value)
    if (state.called && !inRange(sequence, value)) {
      if (!sequence.cycle) {
        throw increment > 0n
          ? sqlError('2200H', `nextval: reached maximum value of sequence "${row.name}" (${sequence.max})`)
          : sqlError('2200H', `nextval: reached minimum value of sequence "${row.name}" (${sequence.min})`)
      }
      value = BigInt(increment > 0n ? sequence.min : sequence.max)
      state.reserved = value - increment
    }
    if (increment > 0n ? value > state.reserved : value < state.reserved) {
      let ahead = value + increment * (PREFETCH - 1n)
      if (!inRange(sequence, ahead)) ahead = increment > 0n ? BigInt(sequence.max) : BigInt(sequence.min)
      // The last reserved value that the sequence really reaches.
      ahead = value + ((ahead - value) / increment) * increment
      state.reserved = ahead
      this.#store(row, ahead, true)
    }
    state.value = int64(value)
    state.called = true
    const allNumbers =
      typeof state.value === 'number' &&
      typeof int64(state.reserved) === 'number' &&
      typeof sequence.increment === 'number'
    state.left = allNumbers ? Number((state.reserved - value) / increment) : 0
    return state.value
  }

  /** Throws 55000 when this session has not used it. */
  currval(row: RelationRow): Int64 {
    const value = this.#current.get(row.oid)
    if (value === undefined)
      throw sqlError('55000', `currval of sequence "${row.name}" is not yet defined in this session`)
    return value
  }
  /** The sequence of the last nextval in this session and its value. */
  lastval(): { readonly sequence: Oid; readonly value: Int64 } {
    const value = this.#last === undefined ? undefined : this.#current.get(this.#last)
    if (value === undefined) throw sqlError('55000', 'lastval is not yet defined in this session')
    return { sequence: this.#last!, value }
  }
  setval(row: RelationRow, given: Int64, called: boolean): Int64 {
    const value = BigInt(given)
    const sequence = row.sequence!
    if (!inRange(sequence, value))
      throw sqlError(
        '22003',
        `setval: value ${value} is out of bounds for sequence "${row.name}" (${sequence.min}..${sequence.max})`,
      )
    const state = this.#state(row)
    state.value = given
    state.called = called
    state.left = 0
    state.reserved = called ? value : value - BigInt(sequence.increment)
    this.#store(row, value, called)
    this.#cached.delete(row.oid)
    if (called) this.#current.set(row.oid, given)
    return given
  }
  /** For pg_sequences and SELECT * FROM sequence: null when it was never used. */
  lastValueOf(row: RelationRow): Int64 | null {
    const state = this.#state(row)
    return state.called ? state.value : null
  }
  discard(): void {
    this.#cached.clear()
    this.#current.clear()
    this.#last = undefined
  }
}

const inRange = (sequence: SequenceRow, value: bigint): boolean =>
  value >= BigInt(sequence.min) && value <= BigInt(sequence.max)
