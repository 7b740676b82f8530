import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { functionBodies } from '../../sql/types/function.ts'
import * as rows from '../../sql/types/vector/catalog-rows.ts'
import { DISTANCES, type Metric } from '../../sql/types/vector/distance.ts'
import { kernelMemory, PAGE_BYTES, PAIR_DISTANCES, VectorKernel } from '../../sql/types/vector/kernel.ts'
import { CONTEXT, named, registerAll } from '../types/cases.ts'
import { keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()
const vector = named('vector')
const METRICS = Object.keys(DISTANCES) as Metric[]
const floats = fc.float({ noNaN: true, noDefaultInfinity: true })
const values = fc.array(floats, { minLength: 1, maxLength: 20 }).map((list) => Float32Array.from(list))
const few = fc
  .array(fc.constantFrom(-1, -0, 0, 1.5), { minLength: 1, maxLength: 4 })
  .map((list) => Float32Array.from(list))

describe('vectors', () => {
  it('text, binary and storage give the value back to the bit', () => {
    fc.assert(
      fc.property(values, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(vector, value)).toEqual(value)
      }),
      { numRuns: 1000 },
    )
  })
  it('prints what the array of float4 prints', () => {
    fc.assert(
      fc.property(fc.oneof(floats, fc.float({ min: -100, max: 100, noNaN: true })), (n) => {
        const text = named('float4').output(n, CONTEXT)
        expect(vector.output(Float32Array.of(n), CONTEXT)).toBe(`[${text}]`)
      }),
      { numRuns: 5000 },
    )
  })
  it('reads decimals to the nearest float4', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 20n), fc.integer({ min: -45, max: 15 }), (digits, exponent) => {
        const text = `${digits}e${exponent}`
        let expected: unknown
        try {
          expected = named('float4').input(text, -1, CONTEXT)
        } catch {
          return
        }
        expect((vector.input(`[${text}]`, -1, CONTEXT) as Float32Array)[0]).toBe(expected)
      }),
      { numRuns: 2000 },
    )
  })
  it('keys order as values, equal values hash alike', () => {
    fc.assert(
      fc.property(fc.oneof(few, values), fc.oneof(few, values), (a, b) => {
        const order = vector.compare!(a, b)
        expect(signOf(keyOf(vector, a), keyOf(vector, b))).toBe(order)
        expect(vector.hashKey!(a) === vector.hashKey!(b)).toBe(order === 0)
      }),
      { numRuns: 2000 },
    )
  })
  it('modifiers', () => {
    expect(vector.typmodIn!(['3'])).toBe(3)
    expect(vector.typmodOut!(3)).toBe('(3)')
    expect(() => vector.typmodIn!(['3', '2'])).toThrow('invalid type modifier')
    expect(() => vector.typmodIn!(['a'])).toThrow('invalid input syntax for type integer: "a"')
    expect(() => vector.typmodIn!(['0'])).toThrow('dimensions for type vector must be at least 1')
    expect(() => vector.typmodIn!(['16001'])).toThrow('dimensions for type vector cannot exceed 16000')
    expect(() => vector.input('[1,2,3]', 2, CONTEXT)).toThrow('expected 2 dimensions, not 3')
    expect(() => vector.input(`[${'1,'.repeat(16000)}1]`, -1, CONTEXT)).toThrow(
      'vector cannot have more than 16000 dimensions',
    )
  })
})

describe('the kernel agrees with plain TypeScript', () => {
  const kernel = new VectorKernel(kernelMemory(8, 8))
  const close = (a: number, b: number, scale: number) =>
    expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(scale)))
  const size = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, n, i) => sum + (Math.abs(n) + Math.abs(b[i]!)) ** 2, 0)

  it('on whole numbers exactly, packed, by slots and in pairs, at any number of dimensions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20 }), fc.nat(), (dims, count, seed) => {
        const packed = kernel.floats(PAGE_BYTES + 4 * (seed % 5), dims * count)
        const out = kernel.floats(PAGE_BYTES * 4, count)
        const ids = new Uint32Array(kernel.memory.buffer, PAGE_BYTES * 5, count)
        for (let i = 0; i < packed.length; i++) packed[i] = ((seed + i * 7919) % 31) - 15
        for (let i = 0; i < count; i++) ids[i] = (seed + i * 13) % count
        const query = Float32Array.from({ length: dims }, (_, i) => ((seed * 31 + i * 104729) % 23) - 11)
        for (const metric of METRICS) {
          const expected = Array.from({ length: count }, (_, i) => {
            const one = packed.slice(i * dims, (i + 1) * dims)
            const distance = DISTANCES[metric](query, one)
            expect(PAIR_DISTANCES[metric](query, one)).toBe(distance)
            return Math.fround(distance)
          })
          kernel.distanceMany(metric, query, packed, count, dims, out)
          expect(Array.from(out)).toEqual(expected)
          kernel.distanceGather(metric, query, packed, ids, count, dims, out)
          expect(Array.from(out)).toEqual(Array.from(ids, (id) => expected[id]!))
        }
      }),
      { numRuns: 100 },
    )
  })
  it('on fractions to a float4', () => {
    // Squares of what is smaller vanish from float4 sums before they vanish from doubles.
    const unit = fc.float({ min: -4, max: 4, noNaN: true }).map((n) => (Math.abs(n) < 1e-15 ? 0 : n))
    fc.assert(
      fc.property(fc.array(fc.tuple(unit, unit), { minLength: 1, maxLength: 200 }), (pairs) => {
        const a = Float32Array.from(pairs, ([x]) => x)
        const b = Float32Array.from(pairs, ([, y]) => y)
        const packed = kernel.floats(PAGE_BYTES, b.length)
        packed.set(b)
        const out = kernel.floats(PAGE_BYTES * 4, 1)
        for (const metric of METRICS) {
          const expected = DISTANCES[metric](a, b)
          kernel.distanceMany(metric, a, packed, 1, b.length, out)
          if (Number.isNaN(expected)) expect(out[0]).toBeNaN()
          else if (metric !== 'cosine' || size(a, b) > 1e-20)
            close(out[0]!, expected, metric === 'cosine' ? 1 : size(a, b))
          const pair = PAIR_DISTANCES[metric](a, b)
          if (!Number.isNaN(expected) && size(a, b) > 1e-20) close(pair, expected, metric === 'cosine' ? 1 : size(a, b))
        }
      }),
      { numRuns: 300 },
    )
  })
  it('a long vector is at no cosine distance from itself', () => {
    const a = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i))
    expect(PAIR_DISTANCES.cosine(a, a)).toBe(0)
    expect(PAIR_DISTANCES.cosine(a, Float32Array.from(a))).toBe(0)
  })
})

describe('catalog rows', () => {
  it('every function and aggregate is there, every oid is used once', () => {
    const outside =
      /^((half|sparse)?(vector|vec)_(in|out|recv|send|typmod_in)|(hnsw|ivfflat)(handler|_\w+_support)|aggregate_dummy)$/
    for (const row of rows.pg_proc)
      if (!outside.test(row.prosrc)) expect(functionBodies.has(row.prosrc), row.prosrc).toBe(true)
    const oids = [
      rows.pg_type,
      rows.pg_proc,
      rows.pg_operator,
      rows.pg_cast,
      rows.pg_am,
      rows.pg_opfamily,
      rows.pg_opclass,
      rows.pg_amop,
      rows.pg_amproc,
    ].flatMap((table) => table.map((row) => row.oid))
    expect(new Set(oids).size).toBe(oids.length)
    expect(Math.max(...oids)).toBeLessThan(16384)
  })
})
