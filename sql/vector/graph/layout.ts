/**
 * Where everything of a graph lies in its memory. graph.c reads and writes the same words; the numbers here are offsets of
 * 32-bit words in its structures.
 *
 *     0          1 KiB    64 KiB                               upper              records (64-aligned), to the end; grows
 *     | unused | header | context 0 | context 1 | ...        | lists of the     | record 0 | record 1 | record 2 | ...
 *     |        |        | one a thread; 0: the owner's       | upper layers     | `stride` bytes each
 *
 *     record   | created f64 | deleted f64 | lock | upper | count, 2m ids | padding | scale f32 | vector, padded to 16 |
 *     upper    | level | count, m ids (layer 1) | count, m ids (layer 2) | ...        one for every slot of level > 0
 *     context  | header | stack | query | decoded ×2 | picks | NEAR | OPEN | REST | seen ×2 | list | image | allow |
 *
 * A memory is reserved as a whole and only what is written takes room: contexts are some megabytes of address space and
 * some ten thousand bytes of memory. `upper` has room for the levels that are to be expected with room to spare; should
 * it ever be full, later slots live on the lowest layer alone. A sparse vector (a count, three words, pairs) may be longer
 * than what is left of its record: it goes on over the following ones, whose slots are skipped.
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import type { VectorElement, VectorMetric } from '../vector-index.ts'
import type { GraphSpec } from './graph.ts'

export const ELEMENTS: Readonly<Record<VectorElement, number>> = { f32: 0, f16: 1, bit: 2, sparse: 3 }
export const METRICS: Readonly<Record<VectorMetric, number>> = {
  l2: 0,
  'inner-product': 1,
  cosine: 2,
  l1: 3,
  hamming: 4,
  jaccard: 5,
}

/** Words of the graph's header. */
export const GRAPH = {
  stride: 0,
  records: 1,
  upper: 2,
  upperStride: 3,
  kind: 4,
  groups: 5,
  m: 6,
  efConstruction: 7,
  slots: 8,
  entry: 9,
  lock: 10,
  next: 11,
  vector: 12,
  elementBytes: 13,
  heads: 14,
} as const

/** Words of a context; `at` (0) is a double, `last` (18) an i64. */
export const CONTEXT = {
  at: 0,
  query: 2,
  allow: 4,
  allowed: 5,
  from: 6,
  until: 7,
  effort: 8,
  state: 9,
  visited: 10,
  near: 11,
  queryBytes: 22,
  nearAt: 23,
  openAt: 24,
  restAt: 25,
  tableAt: 26,
  decodeAt: 28,
  picksAt: 30,
  listAt: 31,
  queryAt: 32,
  allowAt: 33,
  imageAt: 34,
} as const
export const CONTEXT_BYTES = 144

/** Words of a record, and what lies at its beginning. */
export const RECORD = { created: 0, deleted: 1, lock: 4, upper: 5, count: 6, ids: 7 } as const

export const HEADER_AT = 1024
const CONTEXTS_AT = 65_536
const STACK_TOP = 40_960
const HEAP_MAX = 131_072
/** The largest effort; a search for more goes round after round. */
export const EFFORT_MAX = 65_536
/** Slots of a list that are swept at once. */
export const LIST_MAX = 131_072
export const PAGE = 65_536
const PAGES_MAX = 65_536

/** Room that a sparse vector has in its own record. */
const SPARSE_BYTES = 16 + 8 * 30

const up = (n: number, to: number): number => Math.ceil(n / to) * to

export interface Layout {
  readonly stride: number
  /** Of the vector in its record; its bytes there with the padding; groups the kernel counts. */
  readonly vector: number
  readonly vectorBytes: number
  readonly groups: number
  readonly contexts: readonly ContextLayout[]
  /** Bitmap of the slots that begin a vector; 0 where all do. */
  readonly heads: number
  readonly upper: number
  readonly upperEnd: number
  readonly records: number
  readonly slotsMax: number
  readonly pagesMax: number
}

export interface ContextLayout {
  readonly at: number
  readonly stackTop: number
  readonly words: readonly (readonly [word: number, address: number])[]
}

function contextAt(at: number, slotsMax: number): [ContextLayout, end: number] {
  let next = at + STACK_TOP
  const area = (bytes: number): number => {
    const start = next
    next += up(bytes, 64)
    return start
  }
  const query = area(135_168)
  const decoded = [area(65_536), area(65_536)] as const
  const picks = area(65_536)
  const near = area(EFFORT_MAX * 8)
  const open = area(HEAP_MAX * 16)
  const rest = area(HEAP_MAX * 8)
  const tables = [area(1 << 20), area(1 << 20)] as const
  const list = area(LIST_MAX * 4)
  const image = area(CONTEXT_BYTES + EFFORT_MAX * 8 + HEAP_MAX * 24 + (1 << 20) + 135_168 + slotsMax / 8 + 64)
  const allow = area(slotsMax / 8 + 1)
  const words: ContextLayout['words'] = [
    [CONTEXT.nearAt, near],
    [CONTEXT.openAt, open],
    [CONTEXT.restAt, rest],
    [CONTEXT.tableAt, tables[0]],
    [CONTEXT.tableAt + 1, tables[1]],
    [CONTEXT.decodeAt, decoded[0]],
    [CONTEXT.decodeAt + 1, decoded[1]],
    [CONTEXT.picksAt, picks],
    [CONTEXT.listAt, list],
    [CONTEXT.queryAt, query],
    [CONTEXT.allowAt, allow],
    [CONTEXT.imageAt, image],
  ]
  return [{ at, stackTop: at + STACK_TOP, words }, next]
}

const GROUPS: Readonly<Record<VectorElement, (dimensions: number) => readonly [groups: number, bytes: number]>> = {
  f32: (d) => [up(d, 4) / 4, up(d, 4) * 4],
  f16: (d) => [up(d, 4) / 4, up(up(d, 4) * 2, 16)],
  bit: (d) => [up(d, 128) / 128, up(d, 128) / 8],
  sparse: () => [0, SPARSE_BYTES],
}

/** Slots are so many that records and upper lists take no more than `bytesMax`, and the whole memory no more than 4 GiB. */
export function layoutOf(spec: GraphSpec, bytesMax: number, threads: number): Layout {
  const { m } = spec
  invariant(m >= 2 && m <= 100 && spec.dimensions > 0, 'a graph has 2 to 100 links and a dimension')
  const [groups, vectorBytes] = GROUPS[spec.element](spec.dimensions)
  const vector = up(RECORD.ids * 4 + 8 * m + 4, 16)
  // Whole cache lines: a vector touches as few as it can (a tenth of the time of a search at 100 dimensions).
  const stride = up(vector + vectorBytes, 64)
  // A slot has 1 / (m - 1) upper layers on the average, and 1 / m of them have any.
  const upperBytes = 4 * ((m + 1) / (m - 1) + 1 / m) * 1.02
  const upperSpare = 65_536
  const sizes = (slotsMax: number) => {
    const contexts: ContextLayout[] = []
    let at = CONTEXTS_AT
    for (let i = 0; i < threads; i++) {
      const [context, end] = contextAt(at, slotsMax)
      contexts.push(context)
      at = end
    }
    const heads = spec.element === 'sparse' ? at : 0
    const upper = up(at + (heads === 0 ? 0 : slotsMax / 8 + 1), 64)
    const upperEnd = upper + Math.floor((slotsMax * upperBytes) / 4) * 4 + upperSpare
    const records = up(upperEnd, 64)
    return { contexts, heads, upper, upperEnd, records, end: records + slotsMax * stride }
  }
  let slotsMax = Math.max(1, Math.floor(Math.min(bytesMax, PAGES_MAX * PAGE) / (stride + upperBytes)))
  let size = sizes(slotsMax)
  while (size.end > (PAGES_MAX - 1) * PAGE) {
    slotsMax = Math.floor(slotsMax * 0.98)
    size = sizes(slotsMax)
  }
  const { end, ...places } = size
  return { stride, vector, vectorBytes, groups, slotsMax, pagesMax: Math.ceil(end / PAGE), ...places }
}
