/**
 * The distance kernel (kernel.c) over one WebAssembly memory. Vectors that lie in that memory are scanned where they
 * lie: `distanceMany` over packed ones, `distanceGather` over those named by slot. The query may lie anywhere; it is
 * copied to the page at address 0, which the kernel keeps for itself.
 *
 *     memory   | page 0: the query (16000 × 4 bytes) | the caller's: vectors, results, slot lists … |
 *
 * Measured: a scan of 50,000 × 768, l2, 5.5 ms (plain TypeScript 33 to 65 ms), of 100,000 × 100 1.6 ms (9 ms).
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import { DISTANCES, type Metric } from './distance.ts'
import { KERNEL_BYTES } from './kernel-bytes.ts'

export const PAGE_BYTES = 65_536

const METRIC_NUMBER: Readonly<Record<Metric, number>> = { 'l2-squared': 0, 'inner-product': 1, cosine: 2, l1: 3 }

type PairKernel = (a: number, b: number, dims: number) => number

interface KernelExports {
  readonly l2: PairKernel
  readonly ip: PairKernel
  readonly cosine: PairKernel
  readonly l1: PairKernel
  readonly plain_floats: (text: number, length: number, out: number, max: number) => number
  readonly many: (metric: number, q: number, base: number, dims: number, count: number, out: number) => void
  readonly gather: (
    metric: number,
    q: number,
    base: number,
    dims: number,
    ids: number,
    count: number,
    out: number,
  ) => void
}

let compiled: WebAssembly.Module | undefined

/** The kernel, compiled once a thread. It imports `env.memory`: shared, of any size. */
export const kernelModule = (): WebAssembly.Module => {
  compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_BYTES, 'base64'))
  return compiled
}

/** Shared memory for a kernel: `pages` of 64 KiB now, at most `pagesMax`. */
export const kernelMemory = (pages: number, pagesMax = 65_536): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: pages, maximum: pagesMax, shared: true })

export class VectorKernel {
  readonly memory: WebAssembly.Memory
  readonly exports: KernelExports

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory
    this.exports = new WebAssembly.Instance(kernelModule(), { env: { memory } }).exports as unknown as KernelExports
  }

  /** A view on `length` floats at the byte address `at` (not in page 0, a multiple of 4). */
  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length)
  }

  /**
   * Distances from `query` to `count` vectors of `dims` dimensions that follow each other in `packed`, into `out`.
   * `packed` and `out` are views on this memory behind page 0. l2 comes squared, the inner product as it is.
   */
  distanceMany(
    metric: Metric,
    query: Float32Array,
    packed: Float32Array,
    count: number,
    dims: number,
    out: Float32Array,
  ): void {
    this.#check(query, dims, packed, out, count)
    invariant(packed.length >= count * dims, 'fewer vectors than are to be scanned')
    const { many } = this.exports
    many(METRIC_NUMBER[metric], 0, packed.byteOffset, dims, count, out.byteOffset)
  }

  /** The same for the vectors at the slots `ids` of `packed`, a view on this memory too. */
  distanceGather(
    metric: Metric,
    query: Float32Array,
    packed: Float32Array,
    ids: Uint32Array,
    count: number,
    dims: number,
    out: Float32Array,
  ): void {
    this.#check(query, dims, packed, out, count)
    invariant(ids.length >= count && ids.buffer === this.memory.buffer, 'the slot list lies elsewhere')
    const slots = Math.floor(packed.length / dims)
    for (let i = 0; i < count; i++) invariant(ids[i]! < slots, 'a slot beyond the vectors')
    const { gather } = this.exports
    gather(METRIC_NUMBER[metric], 0, packed.byteOffset, dims, ids.byteOffset, count, out.byteOffset)
  }

  #check(query: Float32Array, dims: number, packed: Float32Array, out: Float32Array, count: number): void {
    const { buffer } = this.memory
    invariant(packed.buffer === buffer && out.buffer === buffer, 'vectors and results lie in the memory of the kernel')
    invariant(packed.byteOffset >= PAGE_BYTES && out.byteOffset >= PAGE_BYTES, 'page 0 is the query')
    invariant(query.length === dims && dims * 4 <= PAGE_BYTES && out.length >= count, 'sizes do not fit')
    new Float32Array(buffer, 0, dims).set(query)
  }
}

/** From so many dimensions on a pair is faster in the kernel, the copying counted: 49 ns against 58 at 64, 210 against 600 at 768. */
const PAIR_DIMENSIONS_MIN = 64

/**
 * The distance of one pair of vectors that lie anywhere: short ones in plain TypeScript (distance.ts), long ones copied
 * into a memory of their own. A vector that is the same object as in the call before is not copied again: SQL values are
 * never changed in place, and callers with scratch vectors must not use this.
 */
function pairDistances(): typeof DISTANCES {
  let kernel: VectorKernel | undefined
  let first = new Float32Array(0)
  let second = first
  let lastFirst: Float32Array | undefined
  let lastSecond: Float32Array | undefined
  const start = (): KernelExports => {
    if (kernel === undefined) {
      kernel = new VectorKernel(kernelMemory(2, 2))
      first = new Float32Array(kernel.memory.buffer, 0, PAGE_BYTES / 4)
      second = new Float32Array(kernel.memory.buffer, PAGE_BYTES, PAGE_BYTES / 4)
    }
    return kernel.exports
  }
  const pair =
    (name: 'l2' | 'ip' | 'cosine' | 'l1', plain: (a: Float32Array, b: Float32Array) => number) =>
    (a: Float32Array, b: Float32Array): number => {
      if (a.length < PAIR_DIMENSIONS_MIN) return plain(a, b)
      const measure = start()[name]
      if (a !== lastFirst) {
        first.set(a)
        lastFirst = a
      }
      if (b !== lastSecond) {
        second.set(b)
        lastSecond = b
      }
      return measure(0, PAGE_BYTES, a.length)
    }
  return {
    'l2-squared': pair('l2', DISTANCES['l2-squared']),
    'inner-product': pair('ip', DISTANCES['inner-product']),
    cosine: pair('cosine', DISTANCES.cosine),
    l1: pair('l1', DISTANCES.l1),
  }
}

/** Pages of rows that are staged for the kernel are no longer than this. */
const STAGED_BYTES_MAX = 4 << 20

/**
 * Distances from a vector to those that lie in a page of stored rows, wherever in it: the page is copied into the kernel's
 * memory as it is, and no vector of it is made a value. The results are those of PAIR_DISTANCES; undefined where that takes
 * another way (few dimensions, not as many as the other vector, a page too long, another page staged meanwhile).
 */
function stagedDistances(): {
  stage(bytes: Uint8Array, length: number): number
  readonly run: Readonly<
    Record<Metric, (page: number, start: number, end: number, other: Float32Array) => number | undefined>
  >
} {
  let kernel: VectorKernel | undefined
  let query = new Float32Array(0)
  let rows = new Uint8Array(0)
  let last: Float32Array | undefined
  let staged = 0
  const stage = (bytes: Uint8Array, length: number): number => {
    if (kernel === undefined) {
      kernel = new VectorKernel(kernelMemory(1 + STAGED_BYTES_MAX / PAGE_BYTES, 1 + STAGED_BYTES_MAX / PAGE_BYTES))
      query = new Float32Array(kernel.memory.buffer, 0, PAGE_BYTES / 4)
      rows = new Uint8Array(kernel.memory.buffer, PAGE_BYTES, STAGED_BYTES_MAX)
    }
    staged++
    if (length > STAGED_BYTES_MAX) return -1
    rows.set(length === bytes.length ? bytes : bytes.subarray(0, length))
    return staged
  }
  const distance = (name: 'l2' | 'ip' | 'cosine' | 'l1') => {
    let measure: PairKernel | undefined
    return (page: number, start: number, end: number, other: Float32Array): number | undefined => {
      const dims = (end - start) >> 2
      if (page !== staged || dims !== other.length || dims < PAIR_DIMENSIONS_MIN) return undefined
      if (other !== last) {
        query.set(other)
        last = other
      }
      measure ??= kernel!.exports[name]
      return measure(0, PAGE_BYTES + start, dims)
    }
  }
  return {
    stage,
    run: {
      'l2-squared': distance('l2'),
      'inner-product': distance('ip'),
      cosine: distance('cosine'),
      l1: distance('l1'),
    },
  }
}

export const STAGED_DISTANCES = stagedDistances()

/** Two vectors of the same length, at most 16,384; l2 comes squared. */
export const PAIR_DISTANCES = pairDistances()

/** Longer texts of vectors are read the long way. */
const TEXT_BYTES_MAX = 16 * PAGE_BYTES

/**
 * A vector from its text, `[0.25,-1.5e-3,7]`, where that is plain (text.c says when); undefined: it has to be read the long
 * way. 768 numbers of four decimals take 8 µs, the string's copying counted (in TypeScript 50).
 */
function plainTexts(): (text: string, max: number) => Float32Array | undefined {
  let kernel: VectorKernel | undefined
  let bytes = Buffer.alloc(0)
  return (text, max) => {
    const { length } = text
    if (length < 2 || length > TEXT_BYTES_MAX - 16 || max * 4 > PAGE_BYTES) return undefined
    if (kernel === undefined) {
      const pages = 1 + TEXT_BYTES_MAX / PAGE_BYTES
      kernel = new VectorKernel(kernelMemory(pages, pages))
      bytes = Buffer.from(kernel.memory.buffer as unknown as ArrayBuffer)
    }
    // Whatever is no ASCII comes as several bytes, none of which is a number's.
    if (bytes.utf8Write(text, PAGE_BYTES, length) !== length) return undefined
    const count = kernel.exports.plain_floats(PAGE_BYTES, length, 0, max)
    return count < 0 ? undefined : kernel.floats(0, count).slice()
  }
}
export const plainFloats = plainTexts()
