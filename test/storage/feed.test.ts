/** The feed tells each commit's writes under a prefix, in order, before anyone can see them. */
import { expect, test } from 'vitest'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import type { Key } from '../../storage/keys/brand.ts'
import { indexPrefix } from '../../storage/keys/map.ts'
import type { Kv, WritesMark } from '../../storage/kv/kv.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { manualClock } from './manual-clock.ts'

const prefix = indexPrefix(5, 100, 1)
const key = (name: string) => (prefix + name) as Key
const bytes = (text: string) => Buffer.from(text)

async function open(): Promise<Kv> {
  const engine = openMemoryEngine()
  return openKv(engine, { clock: manualClock(), openLog: openLocalLog(engine) })
}
const begin = (kv: Kv) => {
  const txn = kv.begin({ isolation: 'read-committed', readOnly: false, pid: 1, lockTimeoutMs: () => 0 })
  txn.beginStatement()
  return txn
}

test('commits are told in order, before they are visible, and only what lies under the prefix', async () => {
  const kv = await open()
  const told: string[] = []
  const stop = kv.follow(prefix, (at, changes) => {
    expect(kv.now()).toBeLessThan(at)
    changes.each((k, value) => told.push(`${k.slice(prefix.length)}=${value === undefined ? '-' : Buffer.from(value)}`))
  })
  const first = begin(kv)
  first.put(key('b'), bytes('1'))
  first.put(key('a'), bytes('2'))
  first.put(`${indexPrefix(5, 101, 1)}a` as Key, bytes('3'))
  await first.commit()
  const second = begin(kv)
  second.remove(key('a'))
  await second.commit()
  const lost = begin(kv)
  lost.put(key('c'), bytes('4'))
  lost.rollback()
  stop()
  const last = begin(kv)
  last.put(key('d'), bytes('5'))
  await last.commit()
  expect(told).toEqual(['a=2', 'b=1', 'a=-'])
  await kv.close()
})

test('own writes: what a statement may see, and whether they are as they were', async () => {
  const kv = await open()
  const told: boolean[] = []
  let mark: WritesMark = { writes: 0, undone: 0 }
  kv.follow(prefix, (_, changes) => told.push(changes.isAsAt(mark)))
  const own = (txn: ReturnType<typeof begin>) => {
    const seen: string[] = []
    txn.eachOwn(prefix, (k, value) =>
      seen.push(`${k.slice(prefix.length)}=${value === undefined ? '-' : Buffer.from(value)}`),
    )
    return seen.join(' ')
  }
  const txn = begin(kv)
  expect(own(txn)).toBe('')
  txn.put(key('a'), bytes('1'))
  mark = txn.markOwn()
  const before = txn.savepoint()
  txn.remove(key('a'))
  txn.put(key('b'), bytes('2'))
  expect(own(txn)).toBe('a=- b=2')
  txn.rollbackTo(before)
  expect(own(txn)).toBe('a=1')
  txn.hideWrites()
  txn.put(key('c'), bytes('3'))
  expect(own(txn)).toBe('a=1')
  const c = txn.savepoint()
  expect(c.writes).toBe(2)
  txn.rollbackTo({ ...c, writes: 1 })
  await txn.commit()
  const other = begin(kv)
  other.put(key('a'), bytes('1'))
  mark = other.markOwn()
  other.put(key('a'), bytes('2'))
  await other.commit()
  expect(told).toEqual([true, false])
  await kv.close()
})
