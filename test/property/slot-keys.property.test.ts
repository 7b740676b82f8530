/** SlotKeys behaves as a list of keys and a Map from key to newest slot. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowList } from '../../sql/vector/row-list.ts'
import { SlotKeys } from '../../sql/vector/slot-keys.ts'
import type { Key } from '../../storage/keys/brand.ts'

test('as a list and a Map', () => {
  const key = fc.oneof(
    fc.integer({ min: 0, max: 40 }).map((n) => `\x80\0\0${String.fromCharCode(n)}`),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }).map((codes) => String.fromCharCode(...codes)),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 600 }), (steps) => {
      const keys = new SlotKeys()
      const list: string[] = []
      const map = new Map<string, number>()
      for (const [adds, name] of steps) {
        if (adds) {
          keys.add(name, list.length)
          map.set(name, list.length)
          list.push(name)
        } else {
          keys.forget(name)
          map.delete(name)
        }
      }
      expect(keys.count).toBe(list.length)
      for (const [slot, name] of list.entries()) expect(keys.key(slot)).toBe(name)
      for (const [, name] of steps) expect(keys.find(name)).toBe(map.get(name))
      const rows = RowList.of(steps.map(([, name]) => `/t/${name}` as Key))
      const out = new Int32Array(steps.length)
      keys.findMany(rows.bytes, rows.starts, 3, 0, steps.length, out)
      expect([...out]).toEqual(steps.map(([, name]) => map.get(name) ?? -1))
      rows.release()
    }),
    { numRuns: 200 },
  )
})

test('a hundred thousand keys, half of them forgotten', () => {
  const keys = new SlotKeys()
  const name = (i: number) => `\x80\0${String.fromCharCode((i >> 16) & 255, (i >> 8) & 255, i & 255)}`
  for (let i = 0; i < 100_000; i++) keys.add(name(i), i)
  for (let i = 0; i < 100_000; i += 2) keys.forget(name(i))
  for (let i = 0; i < 100_000; i++) expect(keys.find(name(i))).toBe(i % 2 === 0 ? undefined : i)
  const rows = new RowList(1)
  for (let i = 0; i < 100_000; i++) rows.addKey(name(i) as Key)
  const out = new Int32Array(100_000)
  keys.findMany(rows.bytes, rows.starts, 0, 0, 100_000, out)
  expect(out.every((slot, i) => slot === (i % 2 === 0 ? -1 : i))).toBe(true)
  expect(keys.size).toBeLessThan(4 << 20)
})
