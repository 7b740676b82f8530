/** halfvec, sparsevec and packed bytes: written is read back, keys order as values, and each type says what plain vectors say. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FunctionBody, functionBodies } from '../../sql/types/function.ts'
import { OID } from '../../sql/types/oids.ts'
import { type ArrayValue, BitString, SparseVector, type Value } from '../../sql/types/value.ts'
import { DISTANCES, type Metric } from '../../sql/types/vector/distance.ts'
import { readFloat4 } from '../../sql/types/vector/element-text.ts'
import { fromHalves, HALF_VALUES, toHalf, toHalves } from '../../sql/types/vector/half.ts'
import { compareHalfvecs } from '../../sql/types/vector/halfvec-type.ts'
import { plainFloats } from '../../sql/types/vector/kernel.ts'
import {
  dimensionsOf,
  elementOfType,
  isZeroVector,
  packedLength,
  packVector,
  unpackVector,
  type VectorElement,
} from '../../sql/types/vector/packed.ts'
import { SPARSE_DISTANCES } from '../../sql/types/vector/sparse-distance.ts'
import { compareSparsevecs } from '../../sql/types/vector/sparsevec-type.ts'
import { compareVectors } from '../../sql/types/vector/vector-type.ts'
import { named, registerAll } from '../types/cases.ts'
import { keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

describe('numbers of a vector read the quick way', () => {
  const decimal = fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.stringMatching(/^\d{1,22}$/),
      fc.stringMatching(/^(\.\d{0,22})?$/),
      fc.stringMatching(/^([eE][+-]?\d{1,2})?$/),
    )
    .map((parts) => parts.join(''))
  const spelled = fc.oneof(
    decimal,
    fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  )
  it('are those of the long way, or left to it', () => {
    fc.assert(
      fc.property(fc.array(spelled, { minLength: 1, maxLength: 6 }), (words) => {
        const quick = plainFloats(`[${words.join(',')}]`, 16_000)
        if (quick === undefined) return
        expect([...quick]).toEqual(words.map((word) => readFloat4(word, 'vector')))
      }),
      { numRuns: 3000 },
    )
  })
  it('take what clients send', () => {
    for (const text of ['[1,2,3]', '[0.1,-0.25,1e-5,7.5E+3]', '[0.12345678901234567,-3]', '[0,-0]'])
      expect(plainFloats(text, 3) ?? plainFloats(text, 4)).toBeDefined()
    for (const text of [
      '[1, 2]',
      '[]',
      '[1,]',
      '[,1]',
      '[.]',
      '[1e]',
      '[0x1]',
      '[nan]',
      '[1]x',
      '[1,2',
      '[1e99]',
      '[+1]',
      '[1..2]',
    ])
      expect(plainFloats(text, 4)).toBeUndefined()
  })
})

registerAll()
const halfvec = named('halfvec')
const sparsevec = named('sparsevec')

const finiteHalf = fc.integer({ min: 0, max: 0xffff }).filter((half) => Number.isFinite(HALF_VALUES[half]!))
const halves = fc.array(finiteHalf, { minLength: 1, maxLength: 20 }).map((list) => Uint16Array.from(list))
const fewHalves = fc
  .array(fc.constantFrom(0, 0x8000, 1, 0x8001, 0x3c00, 0xbc00), { minLength: 1, maxLength: 4 })
  .map((list) => Uint16Array.from(list))

const sparseOf = (dimensions: number, entries: readonly (readonly [number, number])[]): SparseVector => {
  const sorted = entries.filter(([, n]) => n !== 0).sort(([i], [j]) => i - j)
  return new SparseVector(
    dimensions,
    Int32Array.from(sorted, ([i]) => i),
    Float32Array.from(sorted, ([, n]) => n),
  )
}
const sparse = (dimensionsMax: number, number: fc.Arbitrary<number>) =>
  fc.integer({ min: 1, max: dimensionsMax }).chain((dimensions) =>
    fc
      .uniqueArray(fc.tuple(fc.integer({ min: 0, max: dimensions - 1 }), number), {
        maxLength: 12,
        selector: ([i]) => i,
      })
      .map((entries) => sparseOf(dimensions, entries)),
  )
const anyFloat = fc.float({ noNaN: true, noDefaultInfinity: true })
const sparses = sparse(1_000_000_000, anyFloat)
const fewSparses = sparse(4, fc.constantFrom(-1, 0, 0, 1.5))
const toDense = ({ dimensions, indices, values }: SparseVector): Float32Array => {
  const floats = new Float32Array(dimensions)
  indices.forEach((index, i) => {
    floats[index] = values[i]!
  })
  return floats
}

const call = (name: string, ...args: readonly Value[]): Value => {
  const body = functionBodies.get(name) as Extract<FunctionBody, { kind: 'scalar' }>
  return (body.run as (...args: readonly Value[]) => Value)(...args)
}

describe('half precision', () => {
  it('every half is its number’s half', () => {
    for (let half = 0; half < 65_536; half++) {
      const n = HALF_VALUES[half]!
      if (!Number.isNaN(n)) expect(toHalf(n)).toBe(half)
      if (Number.isFinite(n)) expect(fromHalves(Uint16Array.of(half))[0]).toBe(n)
    }
    expect(Number.isNaN(HALF_VALUES[toHalf(NaN)]!)).toBe(true)
  })
  it('a float4 becomes the nearest half, of two the even one', () => {
    const steps = fc.oneof(
      anyFloat,
      fc.float({ min: -70_000, max: 70_000, noNaN: true }),
      fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4), noNaN: true }),
      // exactly between two halves
      fc.integer({ min: 0, max: 0x7bfe }).map((half) => (HALF_VALUES[half]! + HALF_VALUES[half + 1]!) / 2),
    )
    fc.assert(
      fc.property(steps, (n) => {
        const half = toHalf(n)
        const size = Math.abs(n)
        if (size >= 65_520) {
          expect(HALF_VALUES[half]).toBe(n < 0 ? -Infinity : Infinity)
          return
        }
        const own = half & 0x7fff
        const distance = Math.abs(HALF_VALUES[own]! - size)
        for (const other of [own - 1, own + 1]) {
          if (other < 0 || other > 0x7bff) continue
          const theirs = Math.abs(HALF_VALUES[other]! - size)
          expect(theirs > distance || (theirs === distance && own % 2 === 0)).toBe(true)
        }
        expect(half >> 15).toBe(n < 0 || Object.is(n, -0) ? 1 : 0)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('halfvec', () => {
  it('text, binary and storage give the value back to the bit', () => {
    fc.assert(
      fc.property(halves, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(halfvec, value)).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })
  it('is ordered as the vector it is, keys too; equal values hash alike', () => {
    fc.assert(
      fc.property(fc.oneof(fewHalves, halves), fc.oneof(fewHalves, halves), (a, b) => {
        const order = compareHalfvecs(a, b)
        expect(order).toBe(compareVectors(fromHalves(a), fromHalves(b)))
        expect(signOf(keyOf(halfvec, a), keyOf(halfvec, b))).toBe(order)
        expect(signOf(keyOf(halfvec, b, true), keyOf(halfvec, a, true))).toBe(order)
        expect(halfvec.hashKey!(a) === halfvec.hashKey!(b)).toBe(order === 0)
      }),
      { numRuns: 2000 },
    )
  })
  it('casts to vector and back, and to sparsevec and back', () => {
    fc.assert(
      fc.property(halves, (value) => {
        expect(call('vector_to_halfvec', call('halfvec_to_vector', value, -1), -1)).toEqual(value)
        const zeros = value.map((half) => (half === 0x8000 ? 0 : half)) // -0 is not kept by sparsevec
        expect(call('sparsevec_to_halfvec', call('halfvec_to_sparsevec', value, -1), -1)).toEqual(zeros)
        expect((call('halfvec_to_float4', value) as ArrayValue).elements).toEqual(Array.from(fromHalves(value)))
      }),
      { numRuns: 500 },
    )
  })
  it('distances are those of the vectors, also when an argument comes again', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(finiteHalf, finiteHalf), { minLength: 1, maxLength: 40 }), (pairs) => {
        const a = Uint16Array.from(pairs, ([x]) => x)
        const b = Uint16Array.from(pairs, ([, y]) => y)
        const expected = (x: Uint16Array, y: Uint16Array) => DISTANCES.l1(fromHalves(x), fromHalves(y))
        for (const [x, y] of [
          [a, b],
          [b, a],
          [a, a],
          [a, b],
        ] as const)
          expect(call('halfvec_l1_distance', x, y)).toBe(expected(x, y))
      }),
      { numRuns: 300 },
    )
  })
})

describe('sparsevec', () => {
  it('text, binary and storage give the value back to the bit', () => {
    fc.assert(
      fc.property(sparses, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(sparsevec, value)).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })
  it('text in any order of indices', () => {
    fc.assert(
      fc.property(sparses, fc.nat(), (value, seed) => {
        const order = Array.from(value.indices, (_, i) => i).sort(
          (i, j) => (((i + 1) * seed) % 7) - (((j + 1) * seed) % 7),
        )
        const text = order.map((i) => `${value.indices[i]! + 1}:${value.values[i]}`).join(', ')
        expect(sparsevec.input(`{${text}}/${value.dimensions}`, -1, undefined as never)).toEqual(value)
      }),
      { numRuns: 300 },
    )
  })
  it('is ordered as the vector it is, keys too; equal values hash alike', () => {
    const dense = sparse(30, anyFloat)
    const any = fc.oneof(fewSparses, fewSparses, dense, sparses)
    fc.assert(
      fc.property(any, any, (a, b) => {
        const order = compareSparsevecs(a, b)
        if (a.dimensions <= 30 && b.dimensions <= 30) expect(order).toBe(compareVectors(toDense(a), toDense(b)))
        expect(signOf(keyOf(sparsevec, a), keyOf(sparsevec, b))).toBe(order)
        expect(signOf(keyOf(sparsevec, b, true), keyOf(sparsevec, a, true))).toBe(order)
        expect(sparsevec.hashKey!(a) === sparsevec.hashKey!(b)).toBe(order === 0)
      }),
      { numRuns: 4000 },
    )
  })
  it('casts to vector and back', () => {
    fc.assert(
      fc.property(sparse(50, anyFloat), (value) => {
        const vector = call('sparsevec_to_vector', value, -1)
        expect(vector).toEqual(toDense(value))
        expect(call('vector_to_sparsevec', vector, -1)).toEqual(value)
      }),
      { numRuns: 300 },
    )
  })
  it('distances are those of the vectors', () => {
    // Whole numbers: no rounding, in whatever order they are added.
    const whole = (dimensions: number) =>
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: dimensions, maxLength: dimensions })
    const two = fc.integer({ min: 1, max: 30 }).chain((dimensions) => fc.tuple(whole(dimensions), whole(dimensions)))
    fc.assert(
      fc.property(two, fc.nat(2), ([x, y], thin) => {
        const [a, b] = [x, y].map((list) => Float32Array.from(list, (n, i) => (i % (thin + 1) === 0 ? n : 0))) as [
          Float32Array,
          Float32Array,
        ]
        const [p, q] = [a, b].map((each) => call('vector_to_sparsevec', each, -1) as SparseVector) as [
          SparseVector,
          SparseVector,
        ]
        for (const metric of Object.keys(DISTANCES) as Metric[])
          expect(SPARSE_DISTANCES[metric](p, q)).toBe(DISTANCES[metric](a, b))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('packed bytes', () => {
  const bits = fc.array(fc.boolean(), { minLength: 1, maxLength: 70 }).map((list) => {
    const bytes = new Uint8Array((list.length + 7) >> 3)
    list.forEach((bit, i) => {
      if (bit) bytes[i >> 3]! |= 0x80 >> (i & 7)
    })
    return new BitString(bytes, list.length)
  })
  const vectors = fc.array(anyFloat, { minLength: 1, maxLength: 20 }).map((list) => Float32Array.from(list))
  it.each<[VectorElement, fc.Arbitrary<Float32Array | Uint16Array | BitString | SparseVector>]>([
    ['f32', vectors],
    ['f16', halves],
    ['bit', bits],
    ['sparse', sparses],
  ])('%s: give the value back from any offset, and keep no reference', (element, values) => {
    fc.assert(
      fc.property(values, (value) => {
        const packed = packVector(value, element)
        const dimensions = dimensionsOf(value)
        expect(packed.length).toBe(packedLength(element, dimensions) ?? (value as SparseVector).indices.length * 8)
        const elsewhere = new Uint8Array(packed.length + 3)
        elsewhere.set(packed, 3)
        const read = unpackVector(elsewhere.subarray(3), element, dimensions)
        elsewhere.fill(0xee)
        expect(read).toEqual(value)
      }),
      { numRuns: 200 },
    )
  })
  it('types have elements; zero vectors are known', () => {
    expect([OID.vector, OID.halfvec, OID.bit, OID.sparsevec, OID.float4].map(elementOfType)).toEqual([
      'f32',
      'f16',
      'bit',
      'sparse',
      undefined,
    ])
    for (const value of [
      Float32Array.of(0, -0),
      toHalves([0, -0]),
      new BitString(Uint8Array.of(0), 5),
      sparseOf(3, []),
    ])
      expect(isZeroVector(value)).toBe(true)
    for (const value of [
      Float32Array.of(0, 1e-45),
      toHalves([0, 6e-8]),
      new BitString(Uint8Array.of(8), 5),
      sparseOf(3, [[1, 2]]),
    ])
      expect(isZeroVector(value)).toBe(false)
  })
  it('bits: distances as counted one by one', () => {
    fc.assert(
      fc.property(bits, bits, (x, y) => {
        const length = Math.min(x.length, y.length)
        const cut = ({ bytes }: BitString) => Array.from({ length }, (_, i) => (bytes[i >> 3]! >> (7 - (i & 7))) & 1)
        const made = (list: readonly number[]) => {
          const bytes = new Uint8Array((length + 7) >> 3)
          list.forEach((bit, i) => {
            bytes[i >> 3]! |= bit << (7 - (i & 7))
          })
          return new BitString(bytes, length)
        }
        const [a, b] = [cut(x), cut(y)]
        const both = a.filter((bit, i) => bit === 1 && b[i] === 1).length
        const either = a.filter((bit, i) => bit === 1 || b[i] === 1).length
        expect(call('hamming_distance', made(a), made(b))).toBe(either - both)
        expect(call('jaccard_distance', made(a), made(b))).toBe(both === 0 ? 1 : 1 - both / either)
      }),
      { numRuns: 300 },
    )
  })
})
