/**
 * What graph.c means, in plain TypeScript over the same memory (layout.ts): the walk of one search to its first answer,
 * and every distance. Slow; the property tests hold the kernel to it.
 */
import { hamming, jaccard } from '../../types/vector/bit-distance.ts'
import { DISTANCES } from '../../types/vector/distance.ts'
import { fromHalves } from '../../types/vector/half.ts'
import type { VectorElement, VectorMetric } from '../vector-index.ts'
import type { GraphSpec, Slot } from './graph.ts'
import { GRAPH, HEADER_AT, RECORD } from './layout.ts'

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

interface Near {
  readonly distance: number
  readonly slot: Slot
}

const byDistance = (a: Near, b: Near): number => a.distance - b.distance || a.slot - b.slot

/**
 * The first answer of a search: the `effort` best that the walk finds, ascending. `vector` gives a slot's packed bytes,
 * `isWanted` whether it may be returned.
 */
export function plainSearch(
  spec: GraphSpec,
  memory: WebAssembly.Memory,
  vector: (slot: Slot) => Uint8Array,
  query: Uint8Array,
  effort: number,
  isWanted: (slot: Slot) => boolean,
): Near[] {
  const words = new Uint32Array(memory.buffer)
  const header = (name: keyof typeof GRAPH): number => words[HEADER_AT / 4 + GRAPH[name]]!
  const record = (slot: Slot): number => (header('records') + slot * header('stride')) / 4
  const upper = (slot: Slot): number => words[record(slot) + RECORD.upper]! / 4
  const links = (slot: Slot, layer: number): Uint32Array => {
    const at = layer === 0 ? record(slot) + RECORD.count : upper(slot) + 1 + (layer - 1) * header('upperStride')
    return words.subarray(at + 1, at + 1 + words[at]!)
  }
  const near = (slot: Slot): Near => ({ slot, distance: plainDistance(spec, vector(slot), query) })

  if (header('entry') === 0) return []
  let best = near(header('entry') - 1)
  for (let layer = upper(best.slot) === 0 ? 0 : words[upper(best.slot)]!; layer > 0; layer--) {
    for (let from: Slot | undefined; from !== best.slot; ) {
      from = best.slot
      for (const slot of links(from, layer)) {
        const next = near(slot)
        if (next.distance < best.distance) best = next
      }
    }
  }
  const seen = new Set([best.slot])
  const open = [best]
  const found = isWanted(best.slot) ? [best] : []
  while (open.length > 0) {
    const next = open.sort(byDistance).shift()!
    if (found.length === effort && byDistance(next, found.at(-1)!) > 0) break
    for (const slot of links(next.slot, 0)) {
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
