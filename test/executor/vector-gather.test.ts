/** Rows that another index names: a few at first, then the others, each once, whatever order equal distances come in. */
import { expect, test } from 'vitest'
import type { Execution } from '../../sql/executor/operator.ts'
import { Gathered } from '../../sql/executor/vector-gather.ts'
import { RowList } from '../../sql/vector/row-list.ts'
import type { Hits, VectorIndex } from '../../sql/vector/vector-index.ts'
import type { Key } from '../../storage/keys/brand.ts'

const hitsOf = (...keys: string[]): Hits => ({ keys: keys as Key[], distances: new Float64Array(keys.length) })
const gathered = (first: number, hits: Hits, all: Hits, rows: number) =>
  new Gathered(
    { nearestOf: () => all } as unknown as VectorIndex,
    {} as Execution,
    null,
    RowList.of(Array.from({ length: rows }, (_, i) => String(i) as Key)),
    first,
    undefined,
    hits,
  )
const keysOf = (search: Gathered) => {
  const keys: Key[][] = []
  for (let hits = search.next(); hits !== undefined; hits = search.next()) keys.push([...hits.keys])
  return keys
}

test('what was given first does not come again, and nothing is left out', () => {
  expect(keysOf(gathered(2, hitsOf('b', 'd'), hitsOf('a', 'b', 'c', 'd'), 4))).toEqual([
    ['b', 'd'],
    ['a', 'c'],
  ])
})

test('an index that holds fewer, or none more, is not asked again', () => {
  expect(keysOf(gathered(3, hitsOf('a', 'b'), hitsOf('x'), 5))).toEqual([['a', 'b']])
  expect(keysOf(gathered(9, hitsOf('a', 'b'), hitsOf('x'), 2))).toEqual([['a', 'b']])
  expect(keysOf(gathered(1, hitsOf(), hitsOf('x'), 0))).toEqual([])
})

test('a search that is closed gives no more', () => {
  const search = gathered(2, hitsOf('b', 'd'), hitsOf('a', 'b', 'c', 'd'), 4)
  search.next()
  search.close()
  expect(search.next()).toBe(undefined)
})
