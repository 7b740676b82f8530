/** array_agg of values and of arrays, and min and max of arrays. NULLs are collected like any value. */
import { sqlError } from '../error.ts'
import type { AggregateBody, AggregateTable } from '../function.ts'
import { ArrayValue, type Value } from '../value.ts'
import { orderOf } from './functions.ts'
import { compareArrays } from './order.ts'
import { arrayTooLarge, ITEMS_MAX, shaped } from './shape.ts'

const collectValues: AggregateBody<Value[]> = {
  strict: false,
  bind: () => ({
    init: () => [],
    step: (state, value: Value) => {
      if (state.push(value) > ITEMS_MAX) throw arrayTooLarge()
      return state
    },
    final: (state) => (state.length === 0 ? null : ArrayValue.of(state.slice())),
    inverse: (state) => {
      state.shift()
      return state
    },
  }),
}

interface Collected {
  first: ArrayValue | undefined
  count: number
  elements: Value[]
}

/** Arrays of one shape become the rows of an array with a dimension more. */
const collectArrays: AggregateBody<Collected> = {
  strict: false,
  bind: () => ({
    init: () => ({ first: undefined, count: 0, elements: [] }),
    step: (state, array: ArrayValue | null) => {
      if (array === null) throw sqlError('22004', 'cannot accumulate null arrays')
      const { first } = state
      if (first === undefined) {
        if (array.dimensions.length === 0) throw sqlError('2202E', 'cannot accumulate empty arrays')
        if (array.dimensions.length === 6)
          throw sqlError('54000', 'number of array dimensions (7) exceeds the maximum allowed (6)')
        state.first = array
      } else if (
        first.dimensions.length !== array.dimensions.length ||
        first.dimensions.some((length, i) => length !== array.dimensions[i]) ||
        first.lower.some((low, i) => low !== array.lower[i])
      ) {
        throw sqlError('2202E', 'cannot accumulate arrays of different dimensionality')
      }
      state.count++
      for (const value of array.elements) state.elements.push(value)
      if (state.elements.length > ITEMS_MAX) throw arrayTooLarge()
      return state
    },
    final: ({ first, count, elements }) =>
      first === undefined ? null : shaped(elements.slice(), [count, ...first.dimensions], [1, ...first.lower]),
  }),
}

const extreme = (takes: (order: number) => boolean): AggregateBody<ArrayValue | null> => ({
  strict: true,
  bind: (call) => {
    const { context } = call
    const compare = orderOf(context, context.type(context.type(call.argTypes[0]!).elementOid))
    return {
      init: () => null,
      step: (state, array: ArrayValue) =>
        state === null || takes(compareArrays(array, state, compare)) ? array : state,
      final: (state) => state,
    }
  },
})

export const ARRAY_AGGREGATES = {
  'array_agg(anynonarray)': collectValues,
  'array_agg(anyarray)': collectArrays,
  'max(anyarray)': extreme((order) => order > 0),
  'min(anyarray)': extreme((order) => order < 0),
} as AggregateTable
