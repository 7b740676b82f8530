/** Large scans, of which other threads read pieces ahead, return what plain scans return: row for row, whatever happens meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { Engine, ScanOptions } from '../../storage/engine/engine.ts'
import { nextRow } from '../../storage/engine/page.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { key as k, timestamp as t } from '../../storage/keys/brand.ts'

const root = mkdtempSync(join(tmpdir(), 'engine-ahead-'))
let folders = 0
const open: Engine[] = []
afterAll(async () => {
  for (const engine of open) await engine.close()
  rmSync(root, { recursive: true })
})

const ROWS = 20_000
const END = k('\xff')
const name = (i: number) => k(`row${String(i).padStart(6, '0')}`)

/** Files with histories in them, newer versions in memory, deletion marks, a dropped span, and values that no page holds. */
async function filled(seed: number): Promise<Engine> {
  const engine = openRocksEngine({ path: join(root, String(folders++)), cacheBytes: 2 << 20 })
  open.push(engine)
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const batch = engine.createBatch()
  for (let at = 1; at <= 4; at++) {
    for (let i = 0; i < ROWS; i++) {
      if (at > 1 && random(at * 4) > 0) continue
      if (random(10) === 0) batch.remove(name(i), t(at))
      else batch.put(name(i), t(at), Buffer.alloc(80 + random(200), at))
    }
    for (let n = 0; n < 3; n++) batch.put(name(random(ROWS)), t(at), Buffer.alloc(400_000 + random(200_000), at))
    const from = random(ROWS)
    batch.purgeRange(name(from), name(from + random(2000)))
    await engine.write(batch, 'buffered')
    batch.clear()
    if (at < 4) await engine.flush()
  }
  return engine
}

/** A digest of each row in order, and how many there were by the pages' own counting. */
function read(engine: Engine, options: ScanOptions, want: () => number, between?: () => void) {
  const scanner = engine.scan(options)
  const rows: string[] = []
  let count = 0
  for (let rowsMax = want(), page = scanner.next(rowsMax); page; rowsMax = want(), page = scanner.next(rowsMax)) {
    if (options.countOnly !== true) expect(page.count).toBeLessThanOrEqual(rowsMax)
    count += page.count
    for (let at = 0; at < page.bytes; at = nextRow(page.buffer, at)) {
      const end = nextRow(page.buffer, at)
      rows.push(`${page.buffer.latin1Slice(at, Math.min(end, at + 60))} ${end - at}`)
    }
    between?.()
  }
  scanner.close()
  return { rows, count }
}

test('as a plain scan, at any time, with pages of any size', { timeout: 20_000 }, async () => {
  const engine = await filled(1)
  fc.assert(
    fc.property(
      fc.record({
        at: fc.integer({ min: 1, max: 5 }),
        from: fc.nat(ROWS / 2),
        size: fc.constantFrom(3, 100, 1024, 5000),
      }),
      ({ at, from, size }) => {
        const options: ScanOptions = { from: name(from), to: END, at: t(at) }
        const plain = read(engine, options, () => 1024)
        const ahead = read(engine, { ...options, ahead: true }, () => size)
        expect(ahead.count).toBe(plain.count)
        expect(ahead.rows).toEqual(plain.rows)
        for (const isAhead of [true, false]) {
          expect(read(engine, { ...options, ahead: isAhead, countOnly: true }, () => size).count).toBe(plain.count)
        }
      },
    ),
    { numRuns: 12 },
  )
})

test('later writes, flushes, loads and dropped spans meanwhile change nothing', { timeout: 20_000 }, async () => {
  const engine = await filled(2)
  const options: ScanOptions = { from: k(''), to: END, at: t(4) }
  const plain = read(engine, options, () => 1024)
  const batch = engine.createBatch()
  let writes = 0
  const work: Promise<unknown>[] = []
  const disturb = () => {
    const at = t(10 + writes)
    for (let n = 0; n < 50; n++) batch.put(name((writes * 997 + n * 31) % ROWS), at, Buffer.alloc(300, 9))
    if (writes % 3 === 0) batch.purgeRange(k('zone'), k('zonf'))
    work.push(engine.write(batch, 'buffered'))
    batch.clear()
    if (++writes % 7 === 0) work.push(engine.flush())
  }
  for (let round = 0; round < 3; round++) {
    const ahead = read(engine, { ...options, ahead: true }, () => 500, disturb)
    expect(ahead.rows).toEqual(plain.rows)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.all(work)
})

test('scans may be left, run side by side, and be open when the engine closes', { timeout: 20_000 }, async () => {
  const engine = await filled(3)
  const options: ScanOptions = { from: k(''), to: END, at: t(4), ahead: true }
  const plain = read(engine, { ...options, ahead: false }, () => 1024)
  for (let pages = 1; pages < 40; pages += 3) {
    const scanner = engine.scan(options)
    for (let n = 0; n < pages; n++) scanner.next(1024)
    scanner.close()
  }
  const sides = [1, 2, 3].map(() => ({ scanner: engine.scan(options), count: 0, ended: false }))
  while (sides.some(({ ended }) => !ended)) {
    for (const side of sides) {
      const page = side.scanner.next(700)
      side.count += page?.count ?? 0
      side.ended = page === undefined
    }
  }
  expect(sides.map(({ count }) => count)).toEqual([plain.count, plain.count, plain.count])
  const left = engine.scan(options)
  for (let n = 0; n < 8; n++) left.next(1024)
  await engine.close()
  expect(() => left.next(1)).toThrow('the engine is closed')
  left.close()
})
