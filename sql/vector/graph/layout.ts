/**
 * Where everything of a graph lies in its memory. graph.c reads and writes the same words; the numbers here are offsets of
 * 32-bit words in its structures.
 *
 *     0          1 KiB    64 KiB                               upper              records (64-aligned), to the end; grows
 *     | unused | header | context 0 | context 1 | ...        | lists of the     | block 0 | block 1 | block 2 | ...
 *     |        |        | one a thread; 0: the owner's       | upper layers     |
 *
 *     block    | record 0 | record 1 | ... | code 0 | code 1 | ... | vector 0 | vector 1 | ...      BLOCK slots, with codes
 *              | record 0, vector 0 | record 1, vector 1 | ...                                      all slots, without
 *     record   | created f64 | deleted f64 | upper u32 | lock u16 | list of up to 2m | scale f32, without codes |
 *     list     | count u16 | ids, 3 bytes each |
 *     code     | scale f32 | norm f32 | an i8 for each element, padded to 8 |
 *     vector   | elements, padded to 16 |     or, parted: | their upper 16 bits, padded to 16 | the lower 16 bits, likewise |
 *     upper    | level u16 | list of up to m (layer 1) | list (layer 2) | ...        one for every slot of level > 0
 *     context  | header | stack | query | decoded ×2 | picks | NEAR | OPEN | REST | seen ×2 | list | image | allow |
 *
 * Codes are what walks measure where there are some: a quarter of the vector's bytes. They, the records and the vectors
 * lie apart so that what a walk touches is dense: half as many pages as otherwise. Of parted vectors walks measure the upper
 * halves: half the bytes, and no room beyond the vector's own.
 *
 * A memory is reserved as a whole and only what is written takes room: contexts are some megabytes of address space and
 * some ten thousand bytes of memory. `upper` has room for the levels that are to be expected with room to spare; should
 * it ever be full, later slots live on the lowest layer alone. A sparse vector (a count, three words, pairs) may be longer
 * than what is left of its record: it goes on over the following ones, whose slots are skipped.
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import type { VectorElement, VectorMetric } from '../vector-index.ts'
import type { GraphSpec } from './graph.ts'

const ELEMENTS: Readonly<Record<VectorElement, number>> = { f32: 0, f16: 1, bit: 2, sparse: 3 }
/** Of float4s whose upper halves lie apart. */
const PARTED = 4
const METRICS: Readonly<Record<VectorMetric, number>> = {
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
  scale: 12,
  heads: 13,
  blockBits: 14,
  blockBytes: 15,
  vectors: 16,
  vectorStride: 17,
  codes: 18,
  codeStride: 19,
  codeGroups: 20,
  coded: 21,
  dead: 24,
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
  nearAt: 27,
  openAt: 28,
  restAt: 29,
  tableAt: 30,
  decodeAt: 32,
  codeAt: 34,
  picksAt: 35,
  listAt: 36,
  queryAt: 37,
  allowAt: 38,
  imageAt: 39,
} as const
export const CONTEXT_BYTES = 168

/** Of a record: two doubles, a word, and the byte where its list begins. */
export const RECORD = { created: 0, deleted: 1, upper: 4, list: 22 } as const
/** Bytes of an id; no slot is beyond. */
const ID_BYTES = 3
const IDS_MAX = 2 ** 24
/** Of a list of up to so many ids. It begins at an even address. */
export const listBytes = (ids: number): number => up(2 + ID_BYTES * ids, 2)
/** Of the lists of the layers 1 to `level`. */
export const upperBytes = (level: number, m: number): number => (level === 0 ? 0 : 2 + level * listBytes(m))

export const HEADER_AT = 1024
const CONTEXTS_AT = 65_536
const STACK_TOP = 40_960
const HEAP_MAX = 131_072
/** The largest effort; a search for more goes round after round. */
export const EFFORT_MAX = 65_536
/** Slots of a list that are swept at once. */
export const LIST_MAX = 131_072
/** Room in a context for what is brought into the graph: where the image of a search lies. */
export const STAGE_BYTES = 1 << 22
export const PAGE = 65_536
const PAGES_MAX = 65_536

/** Room that a sparse vector has in its own record. */
const SPARSE_BYTES = 16 + 8 * 30

/**
 * Graphs of float4 in so many dimensions have codes. In fewer a vector is as small as its code; in more the codes would
 * take more than 200 bytes a vector, and vectors are parted.
 */
const CODED_DIMENSIONS = { min: 24, max: 176 }
const CODED_METRICS: ReadonlySet<VectorMetric> = new Set(['l2', 'inner-product', 'cosine'])
/** Slots of a block where there are codes, as a power of two. */
const BLOCK_BITS = 10
const UNBLOCKED_BITS = 31

const up = (n: number, to: number): number => Math.ceil(n / to) * to

export interface Layout {
  /** 8 × the element, as it is stored, and the metric. */
  readonly kind: number
  /** Walks begin with measuring codes, or upper halves. */
  readonly isRough: boolean
  readonly isParted: boolean
  readonly stride: number
  /** Of the scale in its record. */
  readonly scale: number
  readonly blockBits: number
  readonly blockBytes: number
  /** Places in a block. */
  readonly vectors: number
  readonly vectorStride: number
  readonly codes: number
  readonly codeStride: number
  /** Groups of eight elements; 0: no codes. */
  readonly codeGroups: number
  /** Bytes of a vector with the padding; groups the kernel counts. */
  readonly vectorBytes: number
  readonly groups: number
  /** All that a slot takes, but for its upper lists. */
  readonly slotBytes: number
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
  const code = area(1024)
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
    [CONTEXT.codeAt, code],
    [CONTEXT.picksAt, picks],
    [CONTEXT.listAt, list],
    [CONTEXT.queryAt, query],
    [CONTEXT.allowAt, allow],
    [CONTEXT.imageAt, image],
  ]
  return [{ at, stackTop: at + STACK_TOP, words }, next]
}

const wantsParts = (dimensions: number): boolean => dimensions > CODED_DIMENSIONS.max

const GROUPS: Readonly<Record<VectorElement, (dimensions: number) => readonly [groups: number, bytes: number]>> = {
  f32: (d) => {
    const n = up(d, wantsParts(d) ? 8 : 4)
    return [n / 4, n * 4]
  },
  f16: (d) => [up(d, 4) / 4, up(up(d, 4) * 2, 16)],
  bit: (d) => [up(d, 128) / 128, up(d, 128) / 8],
  sparse: () => [0, SPARSE_BYTES],
}

/** Slots are so many that records and upper lists take no more than `bytesMax`, and the whole memory no more than 4 GiB. */
export function layoutOf(spec: GraphSpec, bytesMax: number, threads: number): Layout {
  const { m } = spec
  invariant(m >= 2 && m <= 100 && spec.dimensions > 0, 'a graph has 2 to 100 links and a dimension')
  const [groups, vectorBytes] = GROUPS[spec.element](spec.dimensions)
  const isCoded =
    spec.element === 'f32' &&
    CODED_METRICS.has(spec.metric) &&
    spec.dimensions >= CODED_DIMENSIONS.min &&
    spec.dimensions <= CODED_DIMENSIONS.max
  const linked = RECORD.list + listBytes(2 * m)
  const scale = up(linked, 4)
  const recordBytes = isCoded ? up(linked, 8) : up(scale + 4, 16)
  const parted = spec.element === 'f32' && wantsParts(spec.dimensions)
  const kind = (parted ? PARTED : ELEMENTS[spec.element]) * 8 + METRICS[spec.metric]
  const codeGroups = isCoded ? up(spec.dimensions, 8) / 8 : 0
  const codeStride = isCoded ? up(8 + codeGroups * 8, 16) : 0
  // Without codes whole cache lines: a vector touches as few as it can (a tenth of the time of a search at 100 dimensions).
  const stride = isCoded ? recordBytes : up(recordBytes + vectorBytes, 64)
  const slotBytes = isCoded ? recordBytes + codeStride + vectorBytes : stride
  const blockBits = isCoded ? BLOCK_BITS : UNBLOCKED_BITS
  const blockBytes = isCoded ? slotBytes << BLOCK_BITS : 0
  const codes = isCoded ? stride << BLOCK_BITS : 0
  const vectors = isCoded ? (stride + codeStride) << BLOCK_BITS : recordBytes
  const vectorStride = isCoded ? vectorBytes : stride
  // A slot has 1 / (m - 1) upper layers on the average, and 1 / m of them have any.
  const upperShare = (listBytes(m) / (m - 1) + 2 / m) * 1.02
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
    const upperEnd = upper + Math.floor((slotsMax * upperShare) / 4) * 4 + upperSpare
    const records = up(upperEnd, 64)
    const end = records + (isCoded ? Math.ceil(slotsMax / (1 << BLOCK_BITS)) * blockBytes : slotsMax * stride)
    return { contexts, heads, upper, upperEnd, records, end }
  }
  const fitting = Math.floor(Math.min(bytesMax, PAGES_MAX * PAGE) / (slotBytes + upperShare))
  let slotsMax = Math.max(1, Math.min(IDS_MAX, fitting))
  let size = sizes(slotsMax)
  while (size.end > (PAGES_MAX - 1) * PAGE) {
    slotsMax = Math.floor(slotsMax * 0.98)
    size = sizes(slotsMax)
  }
  const { end, ...places } = size
  const record = { kind, isRough: isCoded || parted, isParted: parted, stride, scale, vectorBytes, groups, slotBytes }
  const block = { blockBits, blockBytes, vectors, vectorStride, codes, codeStride, codeGroups }
  return { ...record, ...block, slotsMax, pagesMax: Math.ceil(end / PAGE), ...places }
}

type Places = Pick<Layout, 'records' | 'stride' | 'blockBits' | 'blockBytes' | 'vectors' | 'vectorStride'>

/** Address of a slot's block. */
export const blockAt = ({ records, blockBits, blockBytes }: Places, slot: number): number =>
  records + (slot >>> blockBits) * blockBytes

/** Number of a slot in its block. */
export const placeOf = ({ blockBits }: Places, slot: number): number => slot & ~(-1 << blockBits)

export const recordAt = (layout: Places, slot: number): number =>
  blockAt(layout, slot) + placeOf(layout, slot) * layout.stride

export const vectorAt = (layout: Places, slot: number): number =>
  blockAt(layout, slot) + layout.vectors + placeOf(layout, slot) * layout.vectorStride

/** The ids of the list that begins at a byte. */
export function idsAt(bytes: Uint8Array, at: number): number[] {
  const count = bytes[at]! | (bytes[at + 1]! << 8)
  const ids: number[] = []
  for (let i = at + 2, end = i + count * ID_BYTES; i < end; i += ID_BYTES)
    ids.push(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16))
  return ids
}

/** The memory that the slots before `slots` need ends here. */
export const endOf = (layout: Places, slots: number): number =>
  layout.blockBytes === 0
    ? layout.records + slots * layout.stride
    : layout.records + Math.ceil(slots / 2 ** layout.blockBits) * layout.blockBytes
