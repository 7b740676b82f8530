/** One conformance suite over both engines, and a model that both must agree with under random operations. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { WriteBatch } from '../../storage/engine/batch.ts'
import type { Batch, Engine, EngineError, ScanOptions } from '../../storage/engine/engine.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { PageBuilder, rowsOf } from '../../storage/engine/page.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { key as k, timestamp as t } from '../../storage/keys/brand.ts'

const root = mkdtempSync(join(tmpdir(), 'engine-test-'))
let folders = 0
const freshPath = () => join(root, String(folders++))
const small = { cacheBytes: 1 << 20, writeBufferBytes: 1 << 20 }
afterAll(() => rmSync(root, { recursive: true }))

const engines: Record<string, () => Engine> = {
  rocksdb: () => openRocksEngine({ path: freshPath(), ...small }),
  memory: () => openMemoryEngine(),
}

const MAX = t(Number.MAX_SAFE_INTEGER)
const START = k('')
const END = k('\xff\xff\xff\xff\xff')
const bytes = (text: string) => Buffer.from(text)

function get(engine: Engine, rowKey: string, at: number): string | undefined {
  const found = engine.get(k(rowKey), t(at))
  return found && `${found.buffer.subarray(found.start, found.end)}@${found.timestamp}`
}

function scan(engine: Engine, at: number, options: Partial<ScanOptions> = {}, rows = 1000): string[] {
  const scanner = engine.scan({ from: START, to: END, at: t(at), ...options })
  const all: string[] = []
  for (let page = scanner.next(rows); page; page = scanner.next(rows)) {
    expect(page.count).toBeGreaterThan(0)
    expect(page.count).toBeLessThanOrEqual(rows)
    all.push(...rowsOf(page).map((row) => `${row.key}@${row.timestamp}=${row.value}`))
  }
  expect(scanner.next(rows)).toBeUndefined()
  scanner.close()
  return all
}

async function write(engine: Engine, fill: (batch: Batch) => void): Promise<void> {
  const batch = engine.createBatch()
  fill(batch)
  await engine.write(batch, 'synced')
}

async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return (error as EngineError).reason
  }
  return 'no error'
}

function thrown(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as EngineError).reason
  }
  return 'no error'
}

describe.each(Object.keys(engines))('%s', (name) => {
  const open: Engine[] = []
  const openEngine = () => {
    const engine = engines[name]!()
    open.push(engine)
    return engine
  }
  afterEach(async () => {
    for (const engine of open.splice(0)) await engine.close()
  })

  test('a reader sees the newest version at or before its time', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      b.put(k('k1'), t(4), bytes('four'))
      b.put(k('k1'), t(9), bytes('nine'))
      b.put(k('k2'), t(3), bytes('three'))
      b.remove(k('k2'), t(7))
      b.put(k('far'), MAX, bytes('max'))
    })
    expect([3, 4, 8, 9, 100].map((at) => get(engine, 'k1', at))).toEqual([
      undefined,
      'four@4',
      'four@4',
      'nine@9',
      'nine@9',
    ])
    expect([2, 3, 6, 7].map((at) => get(engine, 'k2', at))).toEqual([undefined, 'three@3', 'three@3', undefined])
    expect(engine.newest(k('k2'))).toEqual({ timestamp: 7, deleted: true })
    expect(engine.newest(k('k1'))).toEqual({ timestamp: 9, deleted: false })
    expect(engine.newest(k('k'))).toBeUndefined()
    expect(engine.newest(k('far'))).toEqual({ timestamp: MAX, deleted: false })
    expect(scan(engine, 5)).toEqual(['k1@4=four', 'k2@3=three'])
    expect(scan(engine, 8)).toEqual(['k1@4=four'])
    expect(scan(engine, 8, { tombstones: true })).toEqual(['k1@4=four', 'k2@7='])
    expect(scan(engine, 8, { tombstones: true, reverse: true })).toEqual(['k2@7=', 'k1@4=four'])
    expect(scan(engine, 9, { versions: true })).toEqual(['k1@9=nine', 'k1@4=four', 'k2@7=', 'k2@3=three'])
    expect(scan(engine, 8, { versions: true, reverse: true })).toEqual(['k2@3=three', 'k2@7=', 'k1@4=four'])
  })

  test('a key that begins another key keeps its versions together', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      for (const rowKey of ['', 'a', 'a\xff', 'a\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'ab', 'a\0', 'b']) {
        b.put(k(rowKey), t(1), bytes('1'))
        b.put(k(rowKey), t(2 ** 45 + 3), bytes('2'))
      }
    })
    const order = ['', 'a', 'a\0', 'ab', 'a\xff', 'a\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'b']
    expect(scan(engine, 5)).toEqual(order.map((rowKey) => `${rowKey}@1=1`))
    expect(scan(engine, 5, { reverse: true })).toEqual(order.toReversed().map((rowKey) => `${rowKey}@1=1`))
    expect(scan(engine, Number(MAX), { from: k('a'), to: k('a\xff') })).toEqual(
      order.slice(1, 4).map((rowKey) => `${rowKey}@${2 ** 45 + 3}=2`),
    )
    expect(get(engine, 'a', 7)).toBe('1@1')
  })

  test('pages end where they are asked to, forward and backward, with long histories', async () => {
    const engine = openEngine()
    const rows: string[] = []
    await write(engine, (b) => {
      for (let i = 0; i < 300; i++) {
        const rowKey = `row${String(i).padStart(4, '0')}`
        for (let version = 1; version <= 1 + (i % 20); version++)
          b.put(k(rowKey), t(version * 10), bytes(`${i}.${version}`))
        rows.push(rowKey)
      }
    })
    for (const at of [5, 10, 55, 105, 1000]) {
      const expected = rows.flatMap((rowKey, i) => {
        const version = Math.min(Math.floor(at / 10), 1 + (i % 20))
        return version > 0 ? [`${rowKey}@${version * 10}=${i}.${version}`] : []
      })
      for (const pageRows of [1, 7, 300, 1000]) {
        expect(scan(engine, at, {}, pageRows)).toEqual(expected)
        expect(scan(engine, at, { reverse: true }, pageRows)).toEqual(expected.toReversed())
      }
      const all = scan(engine, at, { versions: true })
      expect(scan(engine, at, { versions: true }, 3)).toEqual(all)
      expect(scan(engine, at, { versions: true, reverse: true }, 3)).toEqual(all.toReversed())
    }
    expect(scan(engine, 10, { from: k('row0010'), to: k('row0013') }, 2)).toEqual([
      'row0010@10=10.1',
      'row0011@10=11.1',
      'row0012@10=12.1',
    ])
    expect(scan(engine, 10, { from: k('row0010'), to: k('row0010') })).toEqual([])
    expect(scan(engine, 10, { from: k('x'), to: k('a') })).toEqual([])
  })

  test('large values and large pages', async () => {
    const engine = openEngine()
    const sizes = [10, 300_000, 20, 70_000, 70_000, 70_000, 70_000, 70_000, 3_000_000, 5]
    await write(engine, (b) => {
      sizes.forEach((size, i) => {
        b.put(k(`big${i}`), t(1), Buffer.alloc(size, i + 1))
      })
    })
    sizes.forEach((size, i) => {
      const found = engine.get(k(`big${i}`), t(1))!
      expect(found.end - found.start).toBe(size)
      expect(found.buffer[found.end - 1]).toBe(i + 1)
    })
    for (const reverse of [false, true]) {
      const scanner = engine.scan({ from: START, to: END, at: t(1), reverse })
      const seen: number[] = []
      let pages = 0
      for (let page = scanner.next(100); page; page = scanner.next(100), pages++) {
        seen.push(...rowsOf(page).map((row) => row.value.length))
      }
      expect(seen).toEqual(reverse ? sizes.toReversed() : sizes)
      expect(pages).toBeGreaterThan(2)
      scanner.close()
    }
    const longKey = k('long'.repeat(20_000))
    await write(engine, (b) => b.put(longKey, t(2), bytes('v')))
    expect(get(engine, longKey, 2)).toBe('v@2')
    expect(engine.getMany([longKey, k('big8')], t(2)).count).toBe(2)
  })

  test('scanners live side by side, and a closed one ends', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      for (let i = 0; i < 50; i++) b.put(k(`k${10 + i}`), t(1), bytes(String(i)))
    })
    const scanners = Array.from({ length: 20 }, () => engine.scan({ from: START, to: END, at: t(1) }))
    const seen = scanners.map(() => [] as string[])
    for (let round = 0; round < 5; round++) {
      scanners.forEach((scanner, i) => {
        seen[i]!.push(...rowsOf(scanner.next(10)!).map((row) => row.key))
      })
      await write(engine, (b) => b.put(k(`later${round}`), t(2), bytes('unseen')))
    }
    for (const list of seen) expect(list).toEqual(Array.from({ length: 50 }, (_, i) => `k${10 + i}`))
    scanners[0]!.close()
    expect(scanners[0]!.next(10)).toBeUndefined()
    for (const scanner of scanners) scanner.close()
  })

  test('getMany packs what it finds in the order asked', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      b.put(k('a'), t(1), bytes('A'))
      b.put(k('b'), t(1), bytes('B'))
      b.remove(k('b'), t(2))
      b.put(k('c'), t(3), Buffer.alloc(200_000, 7))
    })
    const many = (at: number) =>
      rowsOf(engine.getMany([k('c'), k('b'), k('nope'), k('a')], t(at))).map(
        (row) => `${row.key}@${row.timestamp}:${row.value.length}`,
      )
    expect(many(1)).toEqual(['b@1:1', 'a@1:1'])
    expect(many(3)).toEqual(['c@3:200000', 'a@1:1'])
    expect(engine.getMany([], t(3)).count).toBe(0)
  })

  test('changedSince sees newer versions and deletion marks in the span alone', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      for (let i = 0; i < 20; i++) b.put(k('a'), t(i + 1), bytes('x'))
      b.put(k('b'), t(5), bytes('x'))
      b.remove(k('c'), t(9))
    })
    const changed = (from: string, to: string, after: number) => engine.changedSince(k(from), k(to), t(after))
    expect(changed('a', 'b', 19)).toBe(true)
    expect(changed('a', 'b', 20)).toBe(false)
    expect(changed('a', 'c', 20)).toBe(false)
    expect(changed('b', 'z', 8)).toBe(true)
    expect(changed('b', 'z', 9)).toBe(false)
    expect(changed('b', 'b', 0)).toBe(false)
    await engine.flush()
    expect(changed('a', 'b', 19)).toBe(true)
    expect(changed('a', 'z', 20)).toBe(false)
    await write(engine, (b) => b.put(k('b'), t(30), bytes('x')))
    expect(changed('a', 'z', 29)).toBe(true)
    expect(changed('b\0', 'z', 20)).toBe(false)
  })

  test('purge takes one version, purgeRange every version of a span', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      for (const rowKey of ['a', 'b', 'c', 'd']) for (const at of [1, 2, 3]) b.put(k(rowKey), t(at), bytes(`${at}`))
    })
    expect(scan(engine, 3)).toHaveLength(4)
    await write(engine, (b) => {
      b.purge(k('a'), t(3))
      b.purge(k('a'), t(1))
      b.purge(k('nothing'), t(1))
    })
    expect(get(engine, 'a', 9)).toBe('2@2')
    expect(get(engine, 'a', 1)).toBeUndefined()
    await write(engine, (b) => b.purgeRange(k('b'), k('d')))
    expect(scan(engine, 9)).toEqual(['a@2=2', 'd@3=3'])
    expect(engine.newest(k('b'))).toBeUndefined()
    expect(get(engine, 'c', 9)).toBeUndefined()
    await write(engine, (b) => {
      b.purgeRange(k('c'), k('b'))
      b.put(k('c'), t(1), bytes('again'))
    })
    await engine.compact()
    expect(scan(engine, 9)).toEqual(['a@2=2', 'c@1=again', 'd@3=3'])
  })

  test('raw families are apart from each other and from versions', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      b.putRaw('raft', k('a'), bytes('raft'))
      b.putRaw('state', k('a'), bytes('state'))
      b.putRaw('local', k('b'), bytes(''))
      b.put(k('a'), t(1), bytes('data'))
      for (let i = 0; i < 3000; i++) b.putRaw('local', k(`log${String(i).padStart(5, '0')}`), Buffer.alloc(200, i))
    })
    expect(engine.getRaw('raft', k('a'))?.toString()).toBe('raft')
    expect(engine.getRaw('state', k('a'))?.toString()).toBe('state')
    expect(engine.getRaw('local', k('a'))).toBeUndefined()
    expect(engine.getRaw('local', k('b'))).toEqual(Buffer.alloc(0))
    const logs = [...engine.scanRaw('local', k('log'), k('loh'))]
    expect(logs).toHaveLength(3000)
    expect(logs[1500]![0]).toBe('log01500')
    expect(logs[1500]![1][0]).toBe(1500 & 255)
    for (const [rawKey] of engine.scanRaw('local', k('log00005'), END)) {
      expect(rawKey).toBe('log00005')
      break
    }
    await write(engine, (b) => b.deleteRaw('raft', k('a')))
    expect(engine.getRaw('raft', k('a'))).toBeUndefined()
    expect(scan(engine, 1)).toEqual(['a@1=data'])
    expect(thrown(() => engine.getRaw('data', k('a')))).toBe('invalid')
    expect(thrown(() => engine.createBatch().putRaw('data', k('a'), bytes('x')))).toBe('invalid')
  })

  test('batches are copied, appended, shipped', async () => {
    const engine = openEngine()
    const batch = engine.createBatch()
    batch.put(k('a'), t(1), bytes('a'))
    const first = engine.write(batch, 'synced')
    batch.clear()
    expect([batch.count, batch.bytes]).toEqual([0, 12])
    batch.put(k('b'), t(1), bytes('b'))
    const other = engine.createBatch()
    other.remove(k('a'), t(2))
    other.purgeRange(k('x'), k('y'))
    batch.append(other)
    expect(batch.count).toBe(3)
    const shipped = WriteBatch.from(Buffer.from(batch.serialize()))
    expect([shipped.count, shipped.deletesRanges]).toEqual([3, true])
    await first
    expect(scan(engine, 9)).toEqual(['a@1=a'])
    await engine.write(shipped, 'buffered')
    expect(scan(engine, 9, { tombstones: true })).toEqual(['a@2=', 'b@1=b'])
    expect(thrown(() => WriteBatch.from(Buffer.from(batch.serialize()).subarray(0, 20)))).toBe('invalid')
    expect(thrown(() => batch.put(k('a'), t(1), bytes('')))).toBe('invalid')
    await engine.write(engine.createBatch(), 'synced')
  })

  test('completions come later, in the order of the calls, with the write visible', async () => {
    const engine = openEngine()
    const order: number[] = []
    let last: Promise<void> | undefined
    for (let i = 0; i < 500; i++) {
      const batch = engine.createBatch()
      batch.put(k('counter'), t(i + 1), bytes(String(i)))
      if (i % 3 === 0) last = engine.write(batch, 'buffered').then(() => void order.push(i))
      else {
        engine.writeThen(batch, 'synced', (error) => {
          expect(error).toBeUndefined()
          expect(engine.newest(k('counter'))!.timestamp).toBeGreaterThan(i)
          order.push(i)
        })
      }
    }
    expect(order).toEqual([])
    await last
    await write(engine, () => {})
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(order.filter((i) => i % 3 !== 0)).toEqual(
      Array.from({ length: 500 }, (_, i) => i).filter((i) => i % 3 !== 0),
    )
  })

  test('ingest makes versions of a sorted load', async () => {
    const engine = openEngine()
    await write(engine, (b) => {
      b.put(k('row000005'), t(50), bytes('newer'))
      b.put(k('row000006'), t(5), bytes('older'))
    })
    expect(scan(engine, 100)).toHaveLength(2)
    function* pages() {
      const page = new PageBuilder(1024)
      for (let i = 0; i < 20_000; i++) {
        page.add(k(`row${String(i).padStart(6, '0')}`), bytes(`value ${i}`))
        if (page.bytes > 60_000) {
          yield page
          page.clear()
        }
      }
      yield page
    }
    await engine.ingest(pages(), t(10))
    expect(get(engine, 'row000005', 100)).toBe('newer@50')
    expect(get(engine, 'row000005', 49)).toBe('value 5@10')
    expect(get(engine, 'row000006', 100)).toBe('value 6@10')
    expect(get(engine, 'row000006', 9)).toBe('older@5')
    expect(scan(engine, 10)).toHaveLength(20_000)
    expect(engine.changedSince(START, k('row000005'), t(9))).toBe(true)
    expect(engine.changedSince(START, k('row000005'), t(10))).toBe(false)
    expect(engine.approximateBytes(START, END)).toBeGreaterThan(100_000)
    const removing = new PageBuilder()
    removing.add(k('row000006'), bytes(''))
    removing.add(k('row000007'), bytes('kept'))
    await engine.ingest([removing], t(11))
    expect(get(engine, 'row000006', 100)).toBeUndefined()
    expect(get(engine, 'row000006', 10)).toBe('value 6@10')
    expect(get(engine, 'row000007', 100)).toBe('kept@11')
    const wrong = new PageBuilder()
    wrong.add(k('b'), bytes('1'))
    wrong.add(k('a'), bytes('1'))
    expect(await rejection(engine.ingest([wrong], t(12)))).toBe('invalid')
    await engine.ingest([], t(12))
    expect(scan(engine, 100, { to: k('row') })).toEqual([])
  })

  test('use after close', async () => {
    const engine = openEngine()
    const batch = engine.createBatch()
    batch.put(k('a'), t(1), bytes('a'))
    const scanner = engine.scan({ from: START, to: END, at: t(1) })
    let done = false
    engine.writeThen(batch, 'synced', (error) => {
      done = error === undefined
    })
    await engine.close()
    await engine.close()
    expect(done).toBe(true)
    expect(thrown(() => engine.get(k('a'), t(1)))).toBe('closed')
    expect(thrown(() => scanner.next(1))).toBe('closed')
    scanner.close()
    expect(await rejection(engine.write(batch, 'synced'))).toBe('closed')
    expect(await rejection(engine.flush())).toBe('closed')
  })
})

// ── a model: every version in a plain map ──────────────────────────────────────────────────────────────────────────

type Model = Map<string, Map<number, string>>

/** What a scan of the model returns, in the words of `scan` above. */
function modelScan(model: Model, from: string, to: string, at: number, options: Partial<ScanOptions>): string[] {
  const rows: string[] = []
  for (const rowKey of [...model.keys()].filter((each) => each >= from && each < to).sort()) {
    const seen = [...model.get(rowKey)!].filter(([time]) => time <= at).sort(([a], [b]) => b - a)
    const wanted = options.versions ? seen : seen.slice(0, 1).filter(([, value]) => value !== '' || options.tombstones)
    rows.push(...wanted.map(([time, value]) => `${rowKey}@${time}=${value}`))
  }
  return options.reverse ? rows.reverse() : rows
}

const someKey = fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), maxLength: 3 })
const someTime = fc.integer({ min: 1, max: 40 })
const change = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    rowKey: someKey,
    at: someTime,
    value: fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('x', 'y') }),
  }),
  fc.record({ kind: fc.constant('remove' as const), rowKey: someKey, at: someTime }),
  fc.record({ kind: fc.constant('purge' as const), rowKey: someKey, at: someTime }),
  fc.record({ kind: fc.constant('purgeRange' as const), from: someKey, to: someKey }),
)
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('write' as const), changes: fc.array(change, { maxLength: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      from: someKey,
      to: someKey,
      at: someTime,
      rows: fc.integer({ min: 1, max: 9 }),
      reverse: fc.boolean(),
      tombstones: fc.boolean(),
      versions: fc.boolean(),
    }),
  },
)

test.each(Object.keys(engines))(
  '%s agrees with a plain map',
  async (name) => {
    // One engine for all runs: each run purges what was there, so that iterators and files of earlier runs take part.
    const engine = engines[name]!()
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const model: Model = new Map()
        await write(engine, (b) => b.purgeRange(START, END))
        for (const each of steps) {
          if (each.kind === 'flush') await engine.flush()
          else if (each.kind === 'compact') await engine.compact()
          else if (each.kind === 'write') {
            await write(engine, (b) => {
              for (const c of each.changes) {
                if (c.kind === 'purgeRange') {
                  b.purgeRange(k(c.from), k(c.to))
                  for (const rowKey of [...model.keys()]) if (rowKey >= c.from && rowKey < c.to) model.delete(rowKey)
                  continue
                }
                const history = model.get(c.rowKey) ?? new Map<number, string>()
                model.set(c.rowKey, history)
                if (c.kind === 'put') b.put(k(c.rowKey), t(c.at), bytes(c.value))
                else if (c.kind === 'remove') b.remove(k(c.rowKey), t(c.at))
                else b.purge(k(c.rowKey), t(c.at))
                if (c.kind === 'purge') history.delete(c.at)
                else history.set(c.at, c.kind === 'put' ? c.value : '')
              }
            })
          } else {
            const { from, to, at, rows, ...options } = each
            const expected = modelScan(model, from, to, at, options)
            expect(scan(engine, at, { from: k(from), to: k(to), ...options }, rows)).toEqual(expected)
            const one = modelScan(model, from, `${from}\0`, at, {})[0]
            const found = get(engine, from, at)
            expect(found && `${from}@${found.split('@')[1]}=${found.split('@')[0]}`).toBe(one)
            const history = [...(model.get(from) ?? [])].sort(([a], [b]) => b - a)[0]
            expect(engine.newest(k(from))).toEqual(history && { timestamp: history[0], deleted: history[1] === '' })
            const newer = [...model].some(
              ([rowKey, times]) => rowKey >= from && rowKey < to && [...times.keys()].some((time) => time > at),
            )
            expect(engine.changedSince(k(from), k(to), t(at))).toBe(newer)
            const asked = [to, from, 'a']
            expect(
              rowsOf(engine.getMany(asked.map(k), t(at))).map((row) => `${row.key}@${row.timestamp}=${row.value}`),
            ).toEqual(asked.flatMap((rowKey) => modelScan(model, rowKey, `${rowKey}\0`, at, {})))
          }
        }
      }),
      { numRuns: 150 },
    )
    await engine.close()
  },
  20_000,
)

// ── what only a disk can show ──────────────────────────────────────────────────────────────────────────────────────

describe('on disk', () => {
  async function reopened(path: string): Promise<string[]> {
    const engine = openRocksEngine({ path, ...small })
    const rows = scan(engine, Number(MAX), { tombstones: true })
    await engine.close()
    return rows
  }

  /** A store with `groups` synced groups of one row each, left in its log. */
  async function storeWithLog(groups: number): Promise<{ path: string; log: string }> {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    for (let i = 0; i < groups; i++) await write(engine, (b) => b.put(k(`k${i}`), t(1), Buffer.alloc(5000, 97)))
    await engine.close()
    const logs = readdirSync(path)
      .filter((file) => file.endsWith('.log'))
      .sort()
    return { path, log: join(path, logs.at(-1)!) }
  }

  test('what was written is there after closing and opening', async () => {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    await write(engine, (b) => {
      b.put(k('a'), t(1), bytes('one'))
      b.remove(k('a'), t(2))
      b.putRaw('state', k('applied'), bytes('17'))
    })
    const buffered = engine.createBatch()
    buffered.put(k('b'), t(3), bytes('two'))
    await engine.write(buffered, 'buffered')
    await engine.close()
    expect(await reopened(path)).toEqual(['a@2=', 'b@3=two'])
    const again = openRocksEngine({ path, ...small })
    expect(again.getRaw('state', k('applied'))?.toString()).toBe('17')
    await again.close()
  })

  test('a checkpoint is a store of its own', async () => {
    const path = freshPath()
    const copy = freshPath()
    const engine = openRocksEngine({ path, ...small })
    for (let i = 0; i < 100; i++) await write(engine, (b) => b.put(k(`k${i}`), t(1), bytes(String(i))))
    let running = true
    const writer = (async () => {
      for (let i = 0; running; i++) {
        await write(engine, (b) => {
          b.put(k('counter'), t(i + 1), bytes(String(i)))
          b.putRaw('state', k('counter'), bytes(String(i)))
        })
      }
    })()
    await new Promise((resolve) => setTimeout(resolve, 20))
    await engine.checkpoint(copy)
    running = false
    await writer
    await write(engine, (b) => b.purgeRange(START, END))
    await engine.compact()
    const other = openRocksEngine({ path: copy, ...small })
    expect(scan(other, 1, { to: k('l'), from: k('k') })).toHaveLength(100)
    const counter = get(other, 'counter', Number(MAX))!.split('@')[0]
    expect(other.getRaw('state', k('counter'))?.toString()).toBe(counter)
    await write(other, (b) => b.put(k('own'), t(5), bytes('life')))
    await other.close()
    expect(await rejection(engine.checkpoint(copy))).toBe('io')
    expect(scan(engine, 5)).toEqual([])
    await engine.close()
  })

  const source = (name: string) => JSON.stringify(new URL(`../../storage/${name}`, import.meta.url).href)
  const child = (program: string, limits = '') =>
    spawnSync(
      'bash',
      ['-c', `${limits} exec "$0" --import tsx --input-type=module -e "$1"`, process.execPath, program],
      { encoding: 'utf8' },
    )

  test('a second process is turned away in one line', async () => {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    const { stdout } = child(`
      const { openRocksEngine } = await import(${source('engine/rocksdb.ts')})
      try { openRocksEngine({ path: ${JSON.stringify(path)} }) } catch (error) { console.log(error.reason, error.message) }
    `)
    expect(stdout).toBe(`locked the data folder ${path} is in use by another process\n`)
    await engine.close()
  })

  test('closing waits for work that is under way', async () => {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    const batch = engine.createBatch()
    for (let i = 0; i < 50_000; i++) batch.put(k(`k${i}`), t(1), Buffer.alloc(100, 97))
    const work = [engine.write(batch, 'synced'), engine.compact(), engine.flush(), engine.checkpoint(freshPath())]
    await engine.close()
    const settled = Promise.all(work)
    expect(
      child(`
      const { openRocksEngine } = await import(${source('engine/rocksdb.ts')})
      console.log(openRocksEngine({ path: ${JSON.stringify(path)} }).approximateKeys() > 40_000)
      process.exit(0)
    `).stdout,
    ).toBe('true\n')
    await settled
  })

  test('two openings in one process share the store', async () => {
    const path = freshPath()
    const one = openRocksEngine({ path, ...small })
    const two = openRocksEngine({ path, ...small })
    await write(one, (b) => b.put(k('a'), t(1), bytes('x')))
    expect(get(two, 'a', 1)).toBe('x@1')
    await one.close()
    await write(two, (b) => b.put(k('b'), t(1), bytes('y')))
    await two.close()
    expect(await reopened(path)).toHaveLength(2)
  })

  test('after a failed write nothing is acknowledged, and nothing acknowledged is lost', async () => {
    const path = freshPath()
    const { stdout } = child(
      `
      const { openRocksEngine } = await import(${source('engine/rocksdb.ts')})
      const engine = openRocksEngine({ path: ${JSON.stringify(path)} })
      const outcomes = []
      for (let i = 0; i < 400; i++) {
        const batch = engine.createBatch()
        batch.put('k' + String(i).padStart(4, '0'), 1, Buffer.alloc(i < 300 ? 20000 : 10, 97))
        outcomes.push(await engine.write(batch, 'synced').then(() => 'ok', (error) => error.reason))
      }
      console.log(JSON.stringify(outcomes))
      process.exit(0)
    `,
      'ulimit -f 4000;',
    )
    const outcomes = JSON.parse(stdout) as string[]
    const failed = outcomes.findIndex((outcome) => outcome !== 'ok')
    expect(failed).toBeGreaterThan(50)
    expect(failed).toBeLessThan(300)
    expect(new Set(outcomes.slice(failed))).toEqual(new Set(['io']))
    const rows = await reopened(path)
    expect(rows.length).toBeGreaterThanOrEqual(failed)
    expect(rows.length).toBeLessThanOrEqual(failed + 1)
  })

  test('a torn end of the log opens with everything before it', async () => {
    for (const cut of [1, 7, 4000, 5100]) {
      const { path, log } = await storeWithLog(20)
      truncateSync(log, readFileSync(log).length - cut)
      expect(await reopened(path)).toHaveLength(cut < 5030 ? 19 : 18)
      expect((await reopened(path)).length).toBeGreaterThan(17)
    }
    // The file's length arrived and the last pages did not.
    const { path, log } = await storeWithLog(20)
    const content = readFileSync(log)
    content.fill(0, content.length - 4500)
    writeFileSync(log, content)
    expect(await reopened(path)).toHaveLength(19)
  })

  test('a damaged middle of the log is reported, and stays where it is', async () => {
    for (let i = 0; i < 25; i++) {
      const { path, log } = await storeWithLog(40)
      const content = readFileSync(log)
      const at = Math.floor(((content.length - 5100) * (i + Math.random())) / 25)
      content[at]! ^= 1 << (i % 8)
      writeFileSync(log, content)
      const rows = await reopened(path).catch((error: EngineError) => error.reason)
      if (rows === 'corruption') expect(await rejection(reopened(path))).toBe('corruption')
      else expect(rows).toHaveLength(40) // in the padding at the end of a block
    }
  })

  test("damage in a record's own header is reported, whatever its length says then", async () => {
    // Records of one 32 KiB block: u32 checksum, u16 length, u8 type, payload.
    for (let bit = 0; bit < 24; bit++) {
      const { path, log } = await storeWithLog(5)
      const content = readFileSync(log)
      const second = 7 + content.readUInt16LE(4)
      content[second + 4 + (bit >> 3)]! ^= 1 << (bit & 7)
      writeFileSync(log, content)
      expect(await rejection(reopened(path)), `bit ${bit}`).toBe('corruption')
    }
  })

  test('a damaged data file gives an error, never a wrong row', async () => {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    for (let i = 0; i < 20; i++) await write(engine, (b) => b.put(k(`k${10 + i}`), t(1), Buffer.alloc(3000, 97)))
    await engine.compact()
    await engine.close()
    const file = join(path, readdirSync(path).find((each) => each.endsWith('.sst'))!)
    const content = readFileSync(file)
    content[content.length >> 1]! ^= 1
    writeFileSync(file, content)
    const damaged = openRocksEngine({ path, ...small })
    expect(thrown(() => scan(damaged, 1))).toBe('corruption')
    expect(thrown(() => scan(damaged, 1, { reverse: true }))).toBe('corruption')
    const outcomes = Array.from({ length: 20 }, (_, i) =>
      thrown(() => expect(damaged.get(k(`k${10 + i}`), t(1))!.end).toBe(3000)),
    )
    expect(new Set(outcomes)).toEqual(new Set(['no error', 'corruption']))
    await damaged.close()
  })

  test('an idle engine keeps no dead files', async () => {
    const path = freshPath()
    const engine = openRocksEngine({ path, ...small })
    for (let round = 0; round < 3; round++) {
      await write(engine, (b) => b.put(k('a'), t(round + 1), Buffer.alloc(100_000, 97)))
      await engine.flush()
      expect(engine.newest(k('a'))?.timestamp).toBe(round + 1)
      expect(scan(engine, 9)).toHaveLength(1)
    }
    const scanner = engine.scan({ from: START, to: END, at: MAX })
    expect(scanner.next(1)?.count).toBe(1)
    await engine.compact()
    scanner.close()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(readdirSync(path).filter((file) => file.endsWith('.sst'))).toHaveLength(1)
    await engine.close()
  })
})

test('a crash of the engine in memory keeps what was synced', async () => {
  const engine = openMemoryEngine({ crashable: true })
  await write(engine, (b) => b.put(k('a'), t(1), bytes('synced')))
  const buffered = engine.createBatch()
  buffered.put(k('b'), t(1), bytes('buffered'))
  await engine.write(buffered, 'buffered')
  expect(scan(engine, 1)).toHaveLength(2)
  const survivor = engine.crash()
  expect(scan(survivor, 1)).toEqual(['a@1=synced'])
  expect(thrown(() => engine.get(k('a'), t(1)))).toBe('closed')
})
