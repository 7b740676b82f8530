/** The parts of mvcc against plain models: the write buffer, scans with own writes, locks. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Scanner } from '../../storage/engine/engine.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { pageOfEntries, rowsOf } from '../../storage/engine/page.ts'
import { type Key, timestamp } from '../../storage/keys/brand.ts'
import { LOCK_STRENGTHS, ROW_MODES } from '../../storage/mvcc/lock-modes.ts'
import { LockOwner, LockTable, Wait } from '../../storage/mvcc/locks.ts'
import { loadsOf, scanWithOwnWrites } from '../../storage/mvcc/own-writes.ts'
import { Reads } from '../../storage/mvcc/reads.ts'
import { WriteBuffer } from '../../storage/mvcc/write-buffer.ts'

const keys = fc.nat(400).map((n) => `k${String(n).padStart(3, '0')}` as Key)
/** LARGE stands for a value that needs a chunk of its own. */
const LARGE = 'large'
const values = fc.oneof({ weight: 9, arbitrary: fc.string({ minLength: 1, maxLength: 60 }) }, fc.constant(LARGE))
const bytesOf = (value: string) => Buffer.from(value === LARGE ? LARGE.repeat(8000) : value)
const textOf = (bytes: Buffer) => (bytes.length === LARGE.length * 8000 ? LARGE : bytes.toString())

type Step =
  | { readonly kind: 'put'; readonly key: Key; readonly value: string }
  | { readonly kind: 'remove'; readonly key: Key }
  | { readonly kind: 'savepoint' }
  | { readonly kind: 'rollback'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('put' as const), key: keys, value: values }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove' as const), key: keys }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('savepoint' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), which: fc.nat(10) }) },
)

/** undefined: removed. */
type Model = Map<Key, string | undefined>

function play(steps: readonly Step[], buffer: WriteBuffer): Model {
  let model: Model = new Map()
  const savepoints: { readonly writes: number; readonly model: Model }[] = []
  for (const it of steps) {
    if (it.kind === 'put') {
      const value = bytesOf(it.value)
      const isAbove =
        value.length % 2 === 1 &&
        buffer.append(Buffer.from(`${it.key}..`, 'latin1'), it.key.length, value, 0, value.length)
      if (isAbove) expect([...model.keys()].every((key) => key < it.key)).toBe(true)
      else buffer.put(it.key, value)
      model.set(it.key, it.value)
    } else if (it.kind === 'remove') {
      buffer.remove(it.key)
      model.set(it.key, undefined)
    } else if (it.kind === 'savepoint') {
      savepoints.push({ writes: buffer.writes, model: new Map(model) })
    } else if (savepoints.length > 0) {
      savepoints.length = (it.which % savepoints.length) + 1
      const savepoint = savepoints.at(-1)!
      buffer.rollbackTo(savepoint.writes)
      model = new Map(savepoint.model)
    }
  }
  return model
}

const inOrder = (model: Model) => [...model].sort(([a], [b]) => (a < b ? -1 : 1))

test('a write buffer is an ordered map with undo', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600, size: 'max' }), (steps) => {
      const buffer = new WriteBuffer()
      const model = play(steps, buffer)
      const seen: (readonly [Key, string | undefined])[] = []
      const position = { leaf: 0, slot: 0 }
      for (let at = buffer.entryAt(position); at !== undefined; at = buffer.next(position)) {
        seen.push([buffer.keyOf(at), buffer.isRemoval(at) ? undefined : textOf(buffer.valueOf(at))])
      }
      expect(seen).toEqual(inOrder(model))
      expect(buffer.count).toBe(model.size)
      for (const key of ['k000', 'k200', 'k400'] as Key[]) expect(buffer.has(key)).toBe(model.has(key))
      const loaded: (readonly [Key, string | undefined])[] = []
      for (const some of loadsOf(buffer, 500)) {
        for (const { key, value } of rowsOf('bytes' in some ? some : pageOfEntries(some)))
          loaded.push([key, value.length === 0 ? undefined : textOf(value)])
      }
      expect(loaded).toEqual(seen)
      const back: Key[] = []
      buffer.seek(position, 'z' as Key)
      for (let at = buffer.previous(position); at !== undefined; at = buffer.previous(position))
        back.push(buffer.keyOf(at))
      expect(back.reverse()).toEqual(seen.map(([key]) => key))
      buffer.rollbackTo(0)
      expect(buffer.count).toBe(0)
    }),
    { numRuns: 150 },
  )
})

test('a scan with own writes is the merge of both, in both directions, in pages of any size', async () => {
  const stored = fc.uniqueArray(keys, { maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(
      stored,
      fc.array(step, { maxLength: 120 }),
      fc.array(step, { maxLength: 20 }),
      keys,
      keys,
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (storedKeys, before, during, a, b, reverse, sizes) => {
        const engine = openMemoryEngine({ schedule: (run) => run() })
        const batch = engine.createBatch()
        for (const key of storedKeys) batch.put(key, timestamp(1), Buffer.from(`stored ${key}`))
        await engine.write(batch, 'synced')
        const [from, to] = a < b ? [a, b] : [b, a]
        const buffer = new WriteBuffer()
        const own = play(before, buffer)

        const model: Model = new Map(storedKeys.map((key) => [key, `stored ${key}`]))
        for (const [key, value] of own) model.set(key, value)
        const expected = inOrder(model).filter(([key, value]) => key >= from && key < to && value !== undefined)
        if (reverse) expected.reverse()

        const scanner = scanWithOwnWrites(
          engine.scan({ from, to, at: timestamp(1), reverse }),
          buffer,
          from,
          to,
          reverse,
        )
        const seen: (readonly [Key, string])[] = []
        for (let i = 0; ; i++) {
          const rows = sizes[i % sizes.length]!
          const page = scanner.next(rows)
          if (page === undefined) break
          expect(page.count).toBeLessThanOrEqual(rows)
          seen.push(...rowsOf(page).map((row) => [row.key, textOf(row.value)] as const))
          // What is written while the scan is open stays out of it.
          for (const late of during.splice(0, 3)) {
            if (late.kind === 'put') buffer.put(late.key, bytesOf(late.value))
            else if (late.kind === 'remove') buffer.remove(late.key)
          }
        }
        scanner.close()
        expect(seen).toEqual(expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('what was read stays covered, however much it is', async () => {
  const engine = openMemoryEngine({ schedule: (run) => run() })
  const batch = engine.createBatch()
  const name = (n: number) => `k${String(n).padStart(6, '0')}` as Key
  for (let n = 0; n < 100_000; n += 10) batch.put(name(n), timestamp(1), Buffer.from('v'))
  await engine.write(batch, 'synced')
  const reads = new Reads()
  const read: Key[] = []
  const covered = (key: Key) => reads.keys.has(key) || reads.spans.some(({ from, to }) => from <= key && key < to)
  let last = 1
  const random = () => (last = (last * 48_271) % 2_147_483_647)
  const left: Scanner[] = []
  for (let i = 0; i < 20_000; i++) {
    const n = random() % 99_000
    if (i % 2 === 0) {
      reads.add(name(n))
      read.push(name(n))
      continue
    }
    const reverse = i % 3 === 0
    const [from, to] = [name(n), name(n + 25)]
    const scanner = reads.watch(engine.scan({ from, to, at: timestamp(1), reverse }), from, to, reverse)
    const first = scanner.next(1)
    if (first !== undefined) read.push(rowsOf(first)[0]!.key)
    if (i % 5 === 0) {
      while (scanner.next(10) !== undefined);
      read.push(from, name(n + 24))
    }
    if (i % 7 === 0) left.push(scanner)
    else scanner.close()
  }
  for (const scanner of left) {
    const page = scanner.next(1)
    if (page !== undefined) read.push(rowsOf(page)[0]!.key)
  }
  expect(read.filter((key, i) => i % 20 === 0 && !covered(key))).toEqual([])
  expect(reads.spans.length).toBeLessThan(12_000)
})

interface LockStep {
  readonly who: number
  readonly target: number
  readonly mode: number
  readonly act: 'lock' | 'try' | 'end' | 'abandon'
}

test('locks never conflict, nobody waits without a reason, and nothing is left behind', () => {
  const lockStep: fc.Arbitrary<LockStep> = fc.record({
    who: fc.nat(5),
    target: fc.nat(2),
    mode: fc.nat(3),
    act: fc.constantFrom('lock', 'lock', 'lock', 'try', 'end', 'abandon'),
  })
  fc.assert(
    fc.property(fc.array(lockStep, { maxLength: 80 }), (steps) => {
      const table = new LockTable(ROW_MODES, 0)
      const owners = Array.from({ length: 6 }, (_, i) => new LockOwner(i, i))
      for (const { who, target, mode, act } of steps) {
        const owner = owners[who]!
        if (act === 'end') {
          while (owner.waits.length > 0) table.abandon(owner.waits[0]!, { kind: 'cancelled' })
          table.releaseAll(owner)
        } else if (act === 'abandon') {
          if (owner.waits.length > 0) table.abandon(owner.waits[0]!, { kind: 'timeout' })
        } else if (owner.waits.length === 0) {
          table.acquire(owner, `t${target}`, mode, act === 'try' ? 'nowait' : 'wait')
        }
        checkLocks(table)
      }
      for (const owner of owners) {
        while (owner.waits.length > 0) table.abandon(owner.waits[0]!, { kind: 'cancelled' })
        table.releaseAll(owner)
      }
      expect(table.size).toBe(0)
    }),
    { numRuns: 500 },
  )
})

function checkLocks(table: LockTable): void {
  const rows = [...table.rows()]
  const conflicts = (a: string, b: string) =>
    (ROW_MODES.conflicts[LOCK_STRENGTHS.indexOf(a as never)]! & (1 << LOCK_STRENGTHS.indexOf(b as never))) !== 0
  for (const a of rows) {
    if (a.granted) {
      for (const b of rows) {
        if (b.granted && b.target === a.target && b.owner !== a.owner) expect(conflicts(a.mode, b.mode)).toBe(false)
      }
    } else {
      const wait = a.owner.waits.find((it) => it instanceof Wait && it.target === a.target)!
      expect(table.blockersOf(wait).length).toBeGreaterThan(0)
    }
  }
}
