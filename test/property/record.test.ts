import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compositeColumns, recordOf } from '../../sql/types/record/composite.ts'
import { RecordValue, type Value } from '../../sql/types/value.ts'
import { named, registerAll } from '../types/cases.ts'
import { isText, keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()
const pt = named('pt')
const columns = compositeColumns(pt)!
const words = fc
  .oneof(
    fc.constantFrom('', ' ', '"', '\\', '(', ')', ',', 'a', 'b', null),
    fc.string({ unit: 'grapheme', maxLength: 3 }),
  )
  .filter((word) => word === null || isText(word))
const values = fc
  .tuple(fc.option(fc.integer({ min: 0, max: 2 })), words)
  .map((fields) => recordOf(columns, fields as Value[]))

describe('records', () => {
  it('text, binary and storage give the value back', () => {
    fc.assert(
      fc.property(values, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(pt, value)).toEqual(value)
        expect(throughStorage(named('record'), value)).toEqual(value)
      }),
    )
  })
  it('keys order as values, equal values hash alike', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        for (const type of [pt, named('record')]) {
          const order = type.compare!(a, b)
          expect(signOf(keyOf(type, a), keyOf(type, b))).toBe(order)
          expect(type.hashKey!(a) === type.hashKey!(b)).toBe(order === 0)
        }
      }),
      { numRuns: 1000 },
    )
  })
  it('enums order by place, in keys too, and are stored by their oid', () => {
    const mood = named('mood')
    const labels = ['sad', 'ok', 'happy']
    for (const [i, a] of labels.entries())
      for (const [j, b] of labels.entries()) {
        expect(mood.compare!(a, b)).toBe(Math.sign(i - j))
        expect(signOf(keyOf(mood, a), keyOf(mood, b))).toBe(Math.sign(i - j))
        expect(throughStorage(mood, a)).toBe(a)
      }
  })
  it('a row stored before a column was added reads NULL for it', () => {
    const short = new RecordValue([1], [columns[0]!.type], ['x'])
    expect(throughStorage(pt, short)).toEqual(recordOf(columns, [1, null]))
  })
})
