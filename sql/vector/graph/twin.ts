/**
 * What graph.c means, in plain TypeScript over the same memory (layout.ts): the walk of one search to its first answer,
 * and every distance. Slow; the property tests hold the kernel to it.
 */
import { hamming, jaccard } from '../../types/vector/bit-distance.ts'
import { DISTANCES } from '../../types/vector/distance.ts'
import { fromHalves } from '../../types/vector/half.ts'
import type { VectorElement, VectorMetric } from '../vector-index.ts'
import type { GraphSpec, Slot } from './graph.ts'
import { GRAPH, HEADER_AT, idsAt, RECORD, recordAt } from './layout.ts'

type Dense = Float32Array

const negative = (measure: (a: Dense, b: Dense) => number) => (a: Dense, b: Dense) => -measure(a, b)

/** What the graph orders by: l2 squared, the inner product negative. */
const DENSE: Readonly<Partial<Record<VectorMetric, (a: Dense, b: Dense) => number>>> = {
  l2: DISTANCES['l2-squared'],
  'inner-product': negative(DISTANCES['inner-product']),
  cosine: DISTANCES.cosine,
  l1: DISTANCES.l1,
}

function dense(packed: Uint8Array, element: VectorElement, dimensions: number): Float32Array {
  const { buffer } = packed.slice()
  if (element === 'f32') return new Float32Array(buffer)
  if (element === 'f16') return fromHalves(new Uint16Array(buffer))
  const all = new Float32Array(dimensions)
  const words = new Uint32Array(buffer)
  const floats = new Float32Array(buffer)
  for (let i = 0; i < words.length; i += 2) all[words[i]!] = floats[i + 1]!
  return all
}

/** The distance of two packed vectors as the graph orders them. */
export function plainDistance({ element, metric, dimensions }: GraphSpec, a: Uint8Array, b: Uint8Array): number {
  if (element === 'bit') return Math.fround(metric === 'hamming' ? hamming(a, b) : jaccard(a, b))
  return DENSE[metric]!(dense(a, element, dimensions), dense(b, element, dimensions))
}

interface Code {
  readonly elements: readonly number[]
  readonly scale: number
  readonly norm: number
}

/** To the nearest whole number, halves to the even one. */
function rounded(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
}

/** The vector in whole numbers up to `most`: 127 as it is stored, 32767 as a query. */
export function codeOf(metric: VectorMetric, packed: Uint8Array, most: number): Code {
  const floats = [...new Float32Array(packed.slice().buffer)]
  const max = Math.max(...floats.map(Math.abs))
  const step = Math.fround(max / most)
  const factor = max > 0 ? Math.fround(most / max) : 0
  const elements = floats.map((x) => rounded(Math.fround(x * factor)))
  const squares = elements.reduce((sum, x) => sum + x * x, 0)
  const inverse = squares > 0 ? Math.fround(1 / Math.sqrt(squares)) : 0
  return {
    elements,
    scale: metric === 'cosine' ? inverse : step,
    norm: metric === 'l2' ? Math.fround(squares * step * step) : 0,
  }
}

/** The distance as walks see it, by the codes of a query and of a stored vector. */
export function codedDistance(metric: VectorMetric, query: Code, stored: Code): number {
  const f = Math.fround
  const product = query.elements.reduce((sum, x, i) => sum + x * stored.elements[i]!, 0)
  const scaled = f(f(product) * f(query.scale * stored.scale))
  if (metric === 'l2') return f(f(query.norm + stored.norm) - f(scaled + scaled))
  return metric === 'cosine' ? f(1 - scaled) : -scaled
}

/** The distance as walks see it where vectors are parted: by the upper halves of the stored one's elements. */
export function upperDistance(spec: GraphSpec, query: Uint8Array, stored: Uint8Array): number {
  const upper = Uint8Array.from(stored, (byte, i) => (i % 4 < 2 ? 0 : byte))
  if (spec.metric !== 'cosine') return plainDistance(spec, upper, query)
  const [q, v, u] = [query, stored, upper].map((packed) => dense(packed, spec.element, spec.dimensions))
  const product = DISTANCES['inner-product']
  return 1 - product(q!, u!) / Math.sqrt(product(q!, q!) * product(v!, v!))
}

/** Slots of layer 1 that a search of the lowest begins with: BEAM_SEARCHED in graph.c. */
const BEAM = 4

interface Near {
  readonly distance: number
  readonly slot: Slot
}

const byDistance = (a: Near, b: Near): number => a.distance - b.distance || a.slot - b.slot

/**
 * The first answer of a search: the `effort` best that the walk finds (by codes or upper halves where the graph has them), ascending. `vector` gives a slot's packed bytes,
 * `isWanted` whether it may be returned; `without` is neither found nor passed through, but where the walk begins with it.
 */
export function plainSearch(
  spec: GraphSpec,
  memory: WebAssembly.Memory,
  vector: (slot: Slot) => Uint8Array,
  query: Uint8Array,
  effort: number,
  isWanted: (slot: Slot) => boolean,
  without?: Slot,
): Near[] {
  const words = new Uint32Array(memory.buffer)
  const header = (name: keyof typeof GRAPH): number => words[HEADER_AT / 4 + GRAPH[name]]!
  const places = {
    records: header('records'),
    stride: header('stride'),
    blockBits: header('blockBits'),
    blockBytes: header('blockBytes'),
    vectors: header('vectors'),
    vectorStride: header('vectorStride'),
  }
  const record = (slot: Slot): number => recordAt(places, slot) / 4
  const bytes = new Uint8Array(memory.buffer)
  const upper = (slot: Slot): number => words[record(slot) + RECORD.upper]!
  const links = (slot: Slot, layer: number): number[] => {
    if (layer === 0) return idsAt(bytes, record(slot) * 4 + RECORD.list)
    return idsAt(bytes, upper(slot) + 2 + (layer - 1) * header('upperStride'))
  }
  const isRough = header('coded') === 1
  const queryCode = header('codeGroups') > 0 ? codeOf(spec.metric, query, 32767) : undefined
  const exactly = (slot: Slot): Near => ({ slot, distance: plainDistance(spec, vector(slot), query) })
  const roughly = (stored: Uint8Array): number =>
    queryCode === undefined
      ? upperDistance(spec, query, stored)
      : codedDistance(spec.metric, queryCode, codeOf(spec.metric, stored, 127))
  const near = (slot: Slot): Near => (isRough ? { slot, distance: roughly(vector(slot)) } : exactly(slot))

  const walk = (starts: readonly Near[], effort: number, layer: number, isWanted: (slot: Slot) => boolean): Near[] => {
    const seen = new Set([without, ...starts.map(({ slot }) => slot)])
    const open = [...starts]
    const found = starts.filter(({ slot }) => isWanted(slot))
    while (open.length > 0) {
      const next = open.sort(byDistance).shift()!
      if (found.length === effort && byDistance(next, found.at(-1)!) > 0) break
      for (const slot of links(next.slot, layer)) {
        if (seen.has(slot)) continue
        seen.add(slot)
        const neighbour = near(slot)
        if (found.length === effort && byDistance(neighbour, found.at(-1)!) > 0) continue
        open.push(neighbour)
        if (!isWanted(slot)) continue
        found.push(neighbour)
        found.sort(byDistance)
        if (found.length > effort) found.pop()
      }
    }
    return found
  }

  if (header('entry') === 0) return []
  let best = near(header('entry') - 1)
  const top = upper(best.slot) === 0 ? 0 : bytes[upper(best.slot)]!
  for (let layer = top; layer > 1; layer--) {
    for (let from: Slot | undefined; from !== best.slot; ) {
      from = best.slot
      for (const slot of links(from, layer)) {
        const next = near(slot)
        if (next.distance < best.distance && slot !== without) best = next
      }
    }
  }
  const starts = top === 0 ? [best] : walk([best], BEAM, 1, () => true)
  const found = walk(starts.slice(0, effort), effort, 0, (slot) => slot !== without && isWanted(slot))
  return isRough ? found.map(({ slot }) => exactly(slot)).sort(byDistance) : found
}
