/** The kv over both engines: what survives a reopening and a crash, large transactions, failures, background work. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Engine } from '../../storage/engine/engine.ts'
import { type MemoryEngine, openMemoryEngine } from '../../storage/engine/memory.ts'
import { rowsOf } from '../../storage/engine/page.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { type Key, logIndex, timestamp } from '../../storage/keys/brand.ts'
import { systemClock } from '../../storage/keys/clock.ts'
import { int32Key } from '../../storage/keys/encode.ts'
import { prefixSpan, rowKeyPrefix, sequenceKey, tableSpan } from '../../storage/keys/map.ts'
import type { BeginOptions, Kv, Span, Txn } from '../../storage/kv/kv.ts'
import { type KvOptions, openKv, type Store } from '../../storage/kv/open-kv.ts'
import { KvError } from '../../storage/range/errors.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import type { RangeMachine } from '../../storage/range/log.ts'
import { manualClock } from './manual-clock.ts'

const TABLE = rowKeyPrefix(5, 16384)
const SPAN = tableSpan(5, 16384)
const row = (n: number): Key => int32Key(TABLE, n)

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const open = (engine: Engine, options: Partial<KvOptions> = {}) =>
  openKv(engine, { clock: systemClock, openLog: openLocalLog(engine), ...options })

function begin(kv: Kv, options: Partial<BeginOptions> = {}): Txn {
  const txn = kv.begin({ isolation: 'read-committed', readOnly: false, pid: 1, lockTimeoutMs: () => 0, ...options })
  txn.beginStatement()
  return txn
}

function write(txn: Txn, n: number, value: string): void {
  expect(txn.lock(row(n), 'update', 'nowait')).toBe(undefined)
  txn.checkUnchanged(row(n))
  txn.put(row(n), Buffer.from(value))
}

function values(kv: Kv, span: Span = SPAN): string[] {
  const txn = begin(kv)
  const scanner = txn.scan(span)
  const out: string[] = []
  for (let page = scanner.next(100); page !== undefined; page = scanner.next(100)) {
    out.push(...rowsOf(page).map((it) => it.value.toString()))
  }
  scanner.close()
  txn.rollback()
  return out
}

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof KvError ? error.reason.kind : String(error)),
  )

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Each gives an engine, and the same store opened anew. */
const STORES: Readonly<Record<string, () => { open(): Engine; reopen(closed: Engine): Engine }>> = {
  memory: () => ({
    open: () => openMemoryEngine({ crashable: true }),
    reopen: (closed) => (closed as MemoryEngine).crash(),
  }),
  rocksdb: () => {
    const path = mkdtempSync(join(tmpdir(), 'alopex-kv-'))
    folders.push(path)
    const opened = () => openRocksEngine({ path })
    return { open: opened, reopen: opened }
  },
}

describe.each(Object.keys(STORES))('%s', (name) => {
  test('a reopened store has every commit, newer timestamps and greater ids, wherever the clock went', async () => {
    const store = STORES[name]!()
    let engine = store.open()
    const clock = manualClock()
    let kv = await open(engine, { clock })
    const first = begin(kv)
    write(first, 1, 'one')
    const at = await first.commit()
    const second = begin(kv)
    second.lock(row(1), 'update', 'wait')
    second.remove(row(1))
    write(second, 2, 'two')
    await second.commit()
    await kv.close()
    await engine.close()

    engine = store.reopen(engine)
    clock.setWall(0)
    kv = await open(engine, { clock })
    expect(values(kv)).toEqual(['two'])
    const third = begin(kv)
    expect(third.id).toBeGreaterThan(second.id)
    expect(third.snapshot).toBeGreaterThan(at)
    write(third, 3, 'three')
    expect(await third.commit()).toBeGreaterThan(third.snapshot)
    expect(values(kv)).toEqual(['two', 'three'])
    await kv.close()
    await engine.close()
  })

  test('unversioned state is read at once and is durable with the next commit, even one that only reads', async () => {
    const store = STORES[name]!()
    let engine = store.open()
    let kv = await open(engine)
    const key = sequenceKey(5, 1)
    expect(kv.getState(key)).toBe(undefined)
    const txn = begin(kv)
    kv.putState(key, Uint8Array.of(32))
    expect(kv.getState(key)).toEqual(Buffer.of(32))
    await txn.commit()
    await engine.close()

    engine = store.reopen(engine)
    kv = await open(engine)
    expect(kv.getState(key)).toEqual(Buffer.of(32))
    kv.deleteState(key)
    expect(kv.getState(key)).toBe(undefined)
    await kv.close()
    await engine.close()
    engine = store.reopen(engine)
    kv = await open(engine)
    expect(kv.getState(key)).toBe(undefined)
    await kv.close()
    await engine.close()
  })

  test('a dropped span goes after a restart too', async () => {
    const store = STORES[name]!()
    let engine = store.open()
    let kv = await open(engine)
    const load = begin(kv)
    for (let n = 0; n < 100; n++) load.put(row(n), Buffer.from(`${n}`))
    await load.commit()
    const reader = begin(kv, { isolation: 'repeatable-read' })
    const drop = begin(kv)
    kv.scheduleRemoval(drop, SPAN)
    await drop.commit()
    await sleep(300)
    // The reader began before: it still sees the rows.
    expect(rowsOf(reader.scan(SPAN).next(1000)!).length).toBe(100)
    await engine.close()

    engine = store.reopen(engine)
    kv = await open(engine)
    expect(values(kv).length).toBe(100)
    await expect.poll(() => values(kv), { timeout: 3000 }).toEqual([])
    await kv.close()
    await engine.close()
  })

  test('a large commit that drops a span, removes rows and overwrites its own is whole after a restart', async () => {
    const store = STORES[name]!()
    let engine = store.open()
    let kv = await open(engine)
    const old = begin(kv)
    old.put(rowKeyPrefix(5, 16385), Buffer.from('old'))
    for (let n = 0; n < 10; n++) old.put(row(n), Buffer.from('old'))
    await old.commit()
    const large = begin(kv)
    kv.scheduleRemoval(large, tableSpan(5, 16385))
    const value = Buffer.alloc(10_000, 'x')
    for (let n = 100; n < 4000; n++) large.put(row(n), value)
    for (let n = 0; n < 10; n += 2) large.remove(row(n))
    large.put(row(150), Buffer.from('last'))
    await large.commit()
    await engine.close()

    engine = store.reopen(engine)
    kv = await open(engine)
    const found = values(kv)
    expect(found.length).toBe(3905)
    expect(found.slice(0, 6).map((it) => it.length)).toEqual([3, 3, 3, 3, 3, 10_000])
    expect(found[5 + 50]).toBe('last')
    await expect.poll(() => values(kv, tableSpan(5, 16385)), { timeout: 3000 }).toEqual([])
    expect(values(kv).length).toBe(3905)
    await kv.close()
    await engine.close()
  })

  test('a bulk load holds few locks, all of them count, and its commit is one', async () => {
    const store = STORES[name]!()
    const engine = store.open()
    const kv = (await open(engine)) as Store
    const bulk = begin(kv)
    for (let n = 0; n < 20_000; n++) write(bulk, n, `row ${n}`)
    expect(kv.lockTables.rows.size).toBe(4096)
    expect(values(kv)).toEqual([])

    const other = begin(kv, { pid: 2 })
    expect(other.lock(row(5), 'update', 'skip')).toBe(false)
    expect(other.lock(row(19_999), 'key-share', 'skip')).toBe(false)
    expect(() => other.lock(row(10_000), 'update', 'nowait')).toThrow(KvError)
    expect(other.lock(row(20_000), 'update', 'nowait')).toBe(undefined)
    // The bulk load meets another's lock like anyone else.
    expect(bulk.lock(row(20_000), 'update', 'skip')).toBe(false)
    const waiting = other.lock(row(15_000), 'update', 'wait')
    const committed = bulk.commit()
    expect(await waiting).toBe(true)
    await committed
    expect(() => other.checkUnchanged(row(15_000))).toThrow('statement-restart')
    other.rollback()
    expect(values(kv).length).toBe(20_000)
    expect(kv.locks()).toEqual([])
    await kv.close()
    await engine.close()
  })

  test('commits that come during a large one follow it', async () => {
    const store = STORES[name]!()
    const engine = store.open()
    const kv = await open(engine)
    const large = begin(kv, { pid: 1 })
    const small = begin(kv, { pid: 2, isolation: 'serializable' })
    const reader = begin(kv, { pid: 3, isolation: 'serializable' })
    reader.get(row(7))
    write(reader, 50_000, 'x')
    for (let n = 0; n < 10_000; n++) large.put(row(n), Buffer.from('v'))
    write(small, 60_000, 'small')
    const order: string[] = []
    const noting = (name: string) => (at: number) => {
      order.push(name)
      return at
    }
    const commits = [
      large.commit().then(noting('large')),
      small.commit().then(noting('small')),
      // It read what the large one writes.
      reasonOf(reader.commit()),
    ]
    const [first, second, third] = await Promise.all(commits)
    expect(order).toEqual(['large', 'small'])
    expect(Number(second)).toBeGreaterThan(Number(first))
    expect(third).toBe('read-conflict')
    await kv.close()
    await engine.close()
  })

  test('a commit of many megabytes takes its place among the others, with the state that goes along', async () => {
    const store = STORES[name]!()
    let engine = store.open()
    let kv = await open(engine)
    const load = begin(kv, { pid: 1 })
    const value = Buffer.alloc(100_000, 'v')
    for (let n = 400; n >= 0; n--) load.put(row(n), value)
    kv.putState(sequenceKey(5, 1), Uint8Array.of(7))
    const before = begin(kv, { pid: 2 })
    const after = begin(kv, { pid: 3 })
    write(before, 1000, 'before')
    write(after, 1001, 'after')
    const times = await Promise.all([before.commit(), load.commit(), after.commit()])
    expect([...times].sort((a, b) => a - b)).toEqual(times)
    const change = begin(kv)
    write(change, 7, 'changed')
    await change.commit()
    await kv.close()
    await engine.close()
    engine = store.reopen(engine)
    kv = await open(engine)
    expect(values(kv).length).toBe(403)
    expect(values(kv, prefixSpan(row(7)))).toEqual(['changed'])
    expect(kv.getState(sequenceKey(5, 1))).toEqual(Buffer.of(7))
    await kv.close()
    await engine.close()
  })

  test('garbage goes in the background, rows stay', async () => {
    const store = STORES[name]!()
    const engine = store.open()
    const kv = await open(engine)
    const load = begin(kv)
    for (let n = 0; n < 6000; n++) load.put(row(n), Buffer.from('v0'))
    await load.commit()
    const versions = () => {
      const scanner = engine.scan({ ...SPAN, at: timestamp(Number.MAX_SAFE_INTEGER), versions: true })
      let count = 0
      for (let page = scanner.next(1000); page !== undefined; page = scanner.next(1000)) count += page.count
      scanner.close()
      return count
    }
    const reader = begin(kv, { isolation: 'repeatable-read', pid: 9 })
    for (let round = 0; round < 3; round++) {
      // The first round is remembered key by key, the others by their index.
      const txn = begin(kv)
      for (let n = 0; n < (round === 0 ? 1000 : 6000); n++) write(txn, n, `v${round + 1}`)
      await txn.commit()
    }
    const remove = begin(kv)
    for (let n = 0; n < 500; n++) {
      remove.lock(row(n), 'update', 'wait')
      remove.checkUnchanged(row(n))
      remove.remove(row(n))
    }
    await remove.commit()
    await sleep(300)
    expect(rowsOf(reader.scan(SPAN).next(10)!).map((it) => it.value.toString())).toEqual(Array(10).fill('v0'))
    reader.rollback()
    await expect.poll(versions, { timeout: 3000, interval: 100 }).toBe(5500)
    expect(values(kv).length).toBe(5500)
    expect(await kv.collectGarbage()).toBe(0)
    await kv.close()
    await engine.close()
  })
})

test('a commit that is not durable yet is invisible, and lost in a crash with all that came after', async () => {
  const due: (() => void)[] = []
  const engine = openMemoryEngine({ crashable: true, schedule: (run) => due.push(run) })
  const kv = await open(engine)
  const first = begin(kv)
  write(first, 1, 'kept')
  const firstDone = first.commit()
  for (const run of due.splice(0)) run()
  await firstDone
  const second = begin(kv)
  write(second, 2, 'lost')
  let isDone = false
  second.commitThen(() => {
    isDone = true
  })
  expect(kv.get(row(2))).toBe(undefined)
  expect(values(kv)).toEqual(['kept'])
  expect(isDone).toBe(false)
  const survivor = engine.crash()
  const reopened = await open(survivor)
  expect(values(reopened)).toEqual(['kept'])
})

test('a failed write ends the commit with its reason, and publishes nothing', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine)
  const txn = begin(kv)
  write(txn, 1, 'x')
  await engine.close()
  expect(await reasonOf(txn.commit())).toBe('engine')
  expect(kv.locks()).toEqual([])
})

test('a transaction has its limit', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine, { txnBytesMax: 1 << 20 })
  const txn = begin(kv)
  const value = Buffer.alloc(100_000, 1)
  expect(() => {
    for (let n = 0; n < 100; n++) txn.put(row(n), value)
  }).toThrow(KvError)
  txn.rollback()
  expect(values(kv)).toEqual([])
})

test('with a deadlock timeout the wait that lasts longest looks first', async () => {
  const clock = manualClock()
  const engine = openMemoryEngine()
  const kv = await open(engine, { clock })
  const slow: Partial<BeginOptions> = { pid: 1, deadlockTimeoutMs: () => 1000 }
  const [a, b] = [begin(kv, slow), begin(kv, { ...slow, pid: 2, deadlockTimeoutMs: () => 10 })]
  a.lock(row(1), 'update', 'wait')
  b.lock(row(2), 'update', 'wait')
  const aWaits = a.lock(row(2), 'update', 'wait') as Promise<boolean>
  const bWaits = reasonOf(b.lock(row(1), 'update', 'wait') as Promise<boolean>)
  clock.advance(10)
  expect(await bWaits).toBe('deadlock')
  b.rollback()
  expect(await aWaits).toBe(true)
  a.rollback()
})

test('a lock that only a buffered write stands for goes with the write', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine)
  const bulk = begin(kv)
  for (let n = 0; n < 5000; n++) write(bulk, n, 'v')
  bulk.lock(row(9000), 'update', 'wait') // locked, not written
  const mark = bulk.savepoint()
  for (let n = 5000; n < 6000; n++) write(bulk, n, 'v')
  bulk.put(row(9000), Buffer.from('v'))
  bulk.rollbackTo(mark)
  const other = begin(kv, { pid: 2 })
  expect(other.lock(row(5500), 'update', 'skip')).toBe(undefined)
  expect(other.lock(row(4500), 'update', 'skip')).toBe(false)
  expect(other.lock(row(9000), 'update', 'skip')).toBe(false)
  // A row written before the savepoint, whose lock was entered after it, stays locked.
  const second = bulk.savepoint()
  expect(other.lock(row(4800), 'update', 'skip')).toBe(false)
  bulk.rollbackTo(second)
  expect(other.lock(row(4800), 'update', 'skip')).toBe(false)
  bulk.rollback()
  expect(other.lock(row(4800), 'update', 'skip')).toBe(undefined)
  expect(other.lock(row(4500), 'update', 'skip')).toBe(undefined)
  other.rollback()
  expect(kv.locks()).toEqual([])
})

test('new rows hold their locks by being written, whatever order they come in and whoever else has many', async () => {
  const kv = await open(openMemoryEngine())
  const insert = (txn: Txn, n: number): void => {
    expect(txn.lockNew(row(n))).toBe(undefined)
    txn.put(row(n), Buffer.from(`row ${n}`))
  }
  const [one, two, asker] = [begin(kv), begin(kv, { pid: 2 }), begin(kv, { pid: 3 })] as const
  // Side by side, ascending and not, and one that appends rows without asking for locks.
  for (let n = 0; n < 1000; n++) {
    insert(one, n % 2 === 0 ? 2 * n : 4000 - 2 * n)
    insert(two, 2 * n + 1)
  }
  const key = Buffer.from(row(9000), 'latin1')
  expect(two.append(key, key.length, Buffer.from('x'), 0, 1)).toBe(true)
  insert(one, 8000)
  expect(kv.locks().length).toBeLessThan(100)
  const held = [...Array(500).keys()].flatMap((n) => [4 * n, 4000 - 2 * (2 * n + 1)]).concat(8000)
  for (const n of [...held, ...Array.from({ length: 1000 }, (_, at) => 2 * at + 1), 9000]) {
    expect(asker.lock(row(n), 'key-share', 'skip')).toBe(false)
  }
  expect(asker.lock(row(8500), 'update', 'skip')).toBe(undefined)
  expect(one.lock(row(1999), 'update', 'skip')).toBe(false)

  // Its own later lock of such a row makes the row's lock no weaker.
  insert(one, 10_000)
  expect(one.lock(row(10_000), 'no-key-update', 'wait')).toBe(undefined)
  expect(asker.lock(row(10_000), 'key-share', 'skip')).toBe(false)
  // A savepoint gives them back with the rows.
  const mark = one.savepoint()
  insert(one, 10_001)
  one.rollbackTo(mark)
  expect(asker.lock(row(10_001), 'update', 'skip')).toBe(undefined)

  const waiting = asker.lock(row(8000), 'update', 'wait')
  await one.commit()
  expect(await waiting).toBe(true)
  two.rollback()
  expect(asker.lock(row(1), 'update', 'skip')).toBe(undefined)
  asker.rollback()
  expect(kv.locks()).toEqual([])
  await kv.close()
})

test('a range copies itself to another engine', async () => {
  const [from, to] = [openMemoryEngine(), openMemoryEngine()]
  const machines: RangeMachine[] = []
  const openLog =
    (engine: Engine): KvOptions['openLog'] =>
    (range, replicas, machine) => {
      machines.push(machine)
      return openLocalLog(engine)(range, replicas, machine)
    }
  const kv = await open(from, { openLog: openLog(from) })
  for (let round = 0; round < 3; round++) {
    const txn = begin(kv)
    for (let n = 0; n < 3000; n++) write(txn, n, `${round} ${'x'.repeat(300)}`)
    kv.putState(sequenceKey(5, 1), Uint8Array.of(round))
    await txn.commit()
  }
  const other = await open(to, { openLog: openLog(to) })
  const old = begin(other)
  write(old, 99_999, 'not of this history')
  await old.commit()
  await other.close()
  await machines[1]!.restore(logIndex(7), machines[0]!.snapshot())
  expect(machines[1]!.appliedIndex()).toBe(7)
  const copy = await open(to)
  expect(values(copy)).toEqual(values(kv))
  expect(copy.getState(sequenceKey(5, 1))).toEqual(Buffer.of(2))
  expect(copy.now()).toBeGreaterThanOrEqual(kv.now())
  await kv.close()
  await copy.close()
})

test('a scan that is still open keeps its own snapshot when the transaction takes a new one', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine)
  const load = begin(kv)
  for (let n = 0; n < 100; n++) load.put(row(n), Buffer.from('old'))
  await load.commit()
  const txn = begin(kv, { pid: 2 })
  const scanner = txn.scan(SPAN)
  const at = txn.snapshot
  for (let round = 0; round < 2; round++) {
    const change = begin(kv)
    for (let n = 0; n < 100; n++) write(change, n, `new ${round}`)
    await change.commit()
    txn.beginStatement()
    expect(kv.watermark()).toBe(at)
  }
  await kv.collectGarbage()
  const seen: string[] = []
  for (let page = scanner.next(7); page !== undefined; page = scanner.next(7))
    seen.push(...rowsOf(page).map((it) => it.value.toString()))
  expect(seen).toEqual(Array(100).fill('old'))
  expect(kv.watermark()).toBe(txn.snapshot)
  const left = txn.scan(SPAN)
  const again = begin(kv)
  write(again, 1, 'newer')
  await again.commit()
  txn.beginStatement()
  expect(left.next(1)?.count).toBe(1)
  txn.rollback()
  expect(kv.watermark()).toBe(kv.now())
  await kv.close()
})

test('spans that end nowhere are empty, and others keep to their ends', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine)
  const txn = begin(kv)
  for (let n = 0; n < 10; n++) txn.put(row(n), Buffer.from(`${n}`))
  await txn.commit()
  expect(values(kv, { from: row(3), to: row(3) })).toEqual([])
  expect(values(kv, prefixSpan(row(3)))).toEqual(['3'])
  expect(values(kv, { from: row(7), to: SPAN.to })).toEqual(['7', '8', '9'])
  const check = begin(kv)
  expect(check.anyIn({ from: row(3), to: row(4) })).toBe(true)
  check.lock(row(3), 'update', 'wait')
  check.remove(row(3))
  expect(check.anyIn({ from: row(3), to: row(4) })).toBe(false)
  check.rollback()
  await kv.close()
})

test('a session and its transaction are on one side', async () => {
  const engine = openMemoryEngine()
  const kv = await open(engine)
  expect(kv.lockSession(1, 'advisory 1', 'exclusive', 'wait', 0)).toBe(true)
  const own = begin(kv, { pid: 1 })
  expect(own.lockTarget('advisory 1', 'exclusive', 'nowait')).toBe(undefined)
  const other = begin(kv, { pid: 2 })
  expect(other.lockTarget('advisory 1', 'exclusive', 'skip')).toBe(false)
  expect(await reasonOf(kv.lockSession(3, 'advisory 1', 'share', 'wait', 20) as Promise<boolean>)).toBe('lock-timeout')
  own.rollback()
  kv.unlockSessionAll(1)
  expect(other.lockTarget('advisory 1', 'exclusive', 'skip')).toBe(undefined)
  other.rollback()
  expect(kv.locks()).toEqual([])
})
