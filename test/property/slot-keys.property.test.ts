/** SlotKeys behaves as a list of keys and a Map from key to newest slot. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowList } from '../../sql/vector/row-list.ts'
import { GROUP_SLOTS, SlotKeys } from '../../sql/vector/slot-keys.ts'
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

test('full groups of keys of one length, others and gaps are packed and restored', () => {
  const name = (i: number) => `\x19${String.fromCharCode(128, 0, (i >> 8) & 255, i & 255)}${i < 9000 ? '' : `${i}`}`
  const keys = new SlotKeys()
  const slots: number[] = []
  // 0 to 8,191: two full groups of one length; then gaps, and keys of several lengths.
  for (let i = 0, slot = 0; i < 13_000; i++, slot += i > 8500 && i % 7 === 0 ? 3 : 1) {
    keys.add(name(i), slot)
    slots.push(slot)
  }
  const again = new SlotKeys()
  again.expect(keys.packedBlocks(keys.count) * GROUP_SLOTS)
  for (const packed of keys.packed(keys.count)) expect(again.restore(packed)).toBe(true)
  for (const each of [keys, again]) {
    expect([each.count, each.named]).toEqual([slots.at(-1)! + 1, slots.length])
    for (const [i, slot] of slots.entries()) {
      expect(each.key(slot)).toBe(name(i))
      expect(each.find(name(i))).toBe(slot)
      expect([each.has(slot), each.has(slot + 1)]).toEqual([true, slots[i + 1] === slot + 1])
    }
    expect(each.find('x')).toBeUndefined()
  }
  again.add('more', again.count)
  expect(again.find('more')).toBe(again.count - 1)
})
