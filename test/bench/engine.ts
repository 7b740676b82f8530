/**
 * What the storage engine alone costs: `npx tsx test/bench/engine.ts [folder]`.
 *
 * One million rows of 16-byte keys and 100-byte values, best of five rounds, nanoseconds of one thread per operation.
 * "levels" is the store after its compactions, "fresh" the same rows with a memtable of recent versions on top.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, Page } from '../../storage/engine/engine.ts'
import { nextRow, PageBuilder, valueStart } from '../../storage/engine/page.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { type Key, key, timestamp } from '../../storage/keys/brand.ts'

const ROWS = 1_000_000
const VALUE = Buffer.alloc(100, 0x61)
const LOADED = timestamp(1000)
const NOW = timestamp(1_000_000)
const START = key('')
const END = key('\xff\xff\xff')

const rowKey = (i: number): Key => key(`row:${String(i).padStart(12, '0')}`)
const wide = (n: number) => String(Math.round(n)).padStart(9)

let seed = 42
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 4294967296) * below)
}
const randomKeys = (n: number) => Array.from({ length: n }, () => rowKey(random(ROWS)))

function report(name: string, nanoseconds: number): void {
  console.log(`${name.padEnd(44)} ${wide(nanoseconds)} ns   ${wide(1e9 / nanoseconds)} /s`)
}

/** Best of five rounds of `run`, which performs `n` operations. */
function measure(name: string, n: number, run: () => void): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const begin = process.hrtime.bigint()
    run()
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / n)
  }
  report(name, best)
}

function* load(): Generator<Page> {
  const page = new PageBuilder(300_000)
  for (let i = 0; i < ROWS; i++) {
    page.add(rowKey(i), VALUE)
    if (page.bytes > 256_000) {
      yield page
      page.clear()
    }
  }
  yield page
}

let sink = 0

function reads(engine: Engine, state: string): void {
  const keys = randomKeys(100_000)
  measure(`get, ${state}`, keys.length, () => {
    for (const k of keys) sink += engine.get(k, NOW)!.end
  })
  const near = Array.from({ length: 100_000 }, (_, i) => rowKey(400_000 + i))
  measure(`get, ascending keys, ${state}`, near.length, () => {
    for (const k of near) sink += engine.get(k, NOW)!.end
  })
  const absent = keys.map((k) => key(`${k}x`))
  measure(`get of an absent key, ${state}`, absent.length, () => {
    for (const k of absent) if (engine.get(k, NOW)) sink++
  })
  measure(`newest, ${state}`, keys.length, () => {
    for (const k of keys) sink += engine.newest(k)!.timestamp
  })
  measure(`getMany of 100, per key, ${state}`, keys.length, () => {
    for (let i = 0; i < keys.length; i += 100) sink += engine.getMany(keys.slice(i, i + 100), NOW).count
  })
  for (const rows of [1, 10]) {
    measure(`seek + ${rows} rows, ${state}`, 50_000, () => {
      for (let i = 0; i < 50_000; i++) {
        const scanner = engine.scan({ from: keys[i]!, to: END, at: NOW })
        sink += scanner.next(rows)!.count
        scanner.close()
      }
    })
  }
  for (const reverse of [false, true]) {
    measure(`scanned row${reverse ? ', reverse' : ''}, ${state}`, ROWS, () => {
      const scanner = engine.scan({ from: START, to: END, at: NOW, reverse })
      for (let page = scanner.next(2048); page; page = scanner.next(2048)) {
        for (let o = 0; o < page.bytes; o = nextRow(page.buffer, o)) sink += page.buffer[valueStart(page.buffer, o)]!
      }
    })
  }
  measure(`changedSince of one key, ${state}`, 20_000, () => {
    for (let i = 0; i < 20_000; i++) if (engine.changedSince(keys[i]!, key(`${keys[i]}\0`), NOW)) sink++
  })
  measure(`changedSince of the whole store, ${state}`, 1, () => {
    if (engine.changedSince(START, END, NOW)) sink++
  })
}

/** `writers` loops, each waiting for its own write; per write. */
async function writes(
  engine: Engine,
  name: string,
  writers: number,
  seconds: number,
  durability: 'synced' | 'buffered',
) {
  let done = 0
  let at = 2_000_000
  const end = performance.now() + seconds * 1000
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all(
    Array.from({ length: writers }, async () => {
      const batch = engine.createBatch()
      while (performance.now() < end) {
        batch.clear()
        batch.put(rowKey(random(ROWS)), timestamp(++at), VALUE)
        await engine.write(batch, durability)
        done++
      }
    }),
  )
  const elapsed = performance.now() - begin
  const used = process.cpuUsage(cpu)
  console.log(
    `${name.padEnd(44)} ${wide((elapsed * 1e6) / done)} ns   ${wide((done * 1000) / elapsed)} /s   cpu ${wide(((used.user + used.system) * 1000) / done)} ns`,
  )
}

async function mixed(engine: Engine): Promise<void> {
  const keys = randomKeys(100_000)
  let nanoseconds = 0
  let at = 3_000_000
  for (let i = 0; i < keys.length; i += 50) {
    const batch = engine.createBatch()
    for (let j = 0; j < 5; j++) batch.put(keys[i + j]!, timestamp(++at), VALUE)
    await engine.write(batch, 'buffered')
    const begin = process.hrtime.bigint()
    for (let j = 0; j < 50; j++) sink += engine.get(keys[i + j]!, NOW)!.end
    nanoseconds += Number(process.hrtime.bigint() - begin)
  }
  report('get, a write after every 50 gets', nanoseconds / keys.length)
}

const path = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'engine-bench-'))
const engine = openRocksEngine({ path, cacheBytes: 512 << 20 })
console.log(`idle after open: ${Math.round(process.memoryUsage().rss / 1e6)} MB`)
const begin = process.hrtime.bigint()
await engine.ingest(load(), LOADED)
report('ingested row', Number(process.hrtime.bigint() - begin) / ROWS)
reads(engine, 'levels')

const batch = engine.createBatch()
const built = process.hrtime.bigint()
for (let i = 0; i < 200_000; i++) batch.put(rowKey(random(ROWS)), timestamp(5000 + i), VALUE)
report('put into a batch', Number(process.hrtime.bigint() - built) / 200_000)
const applied = process.hrtime.bigint()
await engine.write(batch, 'synced')
report('put of one big batch, durable', Number(process.hrtime.bigint() - applied) / 200_000)
reads(engine, 'fresh')
await mixed(engine)
for (const writers of [1, 16, 64, 256]) await writes(engine, `write, ${writers} writers, durable`, writers, 2, 'synced')
await writes(engine, 'write, 16 writers, buffered', 16, 2, 'buffered')
const bulk = engine.createBatch()
bulk.purgeRange(rowKey(0), rowKey(100_000))
const purge = process.hrtime.bigint()
await engine.write(bulk, 'buffered')
report('purgeRange of 100,000 rows', Number(process.hrtime.bigint() - purge))
console.log(`memory: ${Math.round(process.memoryUsage().rss / 1e6)} MB (sink ${sink})`)
await engine.close()
if (!process.argv[2]) rmSync(path, { recursive: true })
