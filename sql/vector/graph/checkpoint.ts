/**
 * A graph as blocks, without its vectors:
 *
 *     block    | CRC-32 of what follows u32 | bytes … |
 *     first    JSON: version, what the graph is made of, slots, entry, bytes of the upper lists, whether codes are in use
 *     then     for so many slots (chunkOf): created f64 … | deleted f64 … | upper lists' place u32 … | list of layer 0 … | head u8 …
 *     last     the upper lists as they lie
 *
 * Each is made when it is asked for, and the graph goes on being used between them: slots from `linked` on are written without
 * links, and links to them are left out, so that they can be linked after a restore.
 * https://en.wikipedia.org/wiki/Cyclic_redundancy_check
 */
import { crc32 } from 'node:zlib'
import type { GraphSpec } from './graph.ts'
import { endOf, idsAt, type Layout, listBytes, RECORD, recordAt } from './layout.ts'

const VERSION = 5
/** Of a block: a millisecond's work. */
const BLOCK_BYTES = 1 << 18
const chunkOf = (width: number): number => Math.max(1, Math.floor(BLOCK_BYTES / (21 + width)))

/** The blocks are damaged, or of another graph. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError'
}

export interface Views {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly floats: Float64Array
}

export interface Written {
  readonly slots: number
  readonly entry: number
  readonly upperUsed: number
  /** Walks measure codes, 1 or 0. */
  readonly coded: number
}

const kindOf = ({ element, metric, dimensions, m }: GraphSpec): string => `${element} ${metric} ${dimensions} ${m}`

function sealed(content: Uint8Array): Uint8Array {
  const block = new Uint8Array(4 + content.length)
  block.set(content, 4)
  new DataView(block.buffer).setUint32(0, crc32(content), true)
  return block
}

export function* blocksOf(
  spec: GraphSpec,
  layout: Layout,
  graph: Written & { readonly linked: number; readonly views: () => Views },
): Generator<Uint8Array> {
  const { slots, linked, entry, upperUsed, coded, views } = graph
  /** Where the upper lists of slots that are not linked begin: they lie in the order of slots. */
  let upperLinked = upperUsed
  const head = { version: VERSION, kind: kindOf(spec), slots, entry, upperUsed, coded }
  yield sealed(Buffer.from(JSON.stringify(head)))
  const width = listBytes(2 * spec.m)
  const chunk = chunkOf(width)
  for (let from = 0; from < slots; from += chunk) {
    const count = Math.min(chunk, slots - from)
    const { words, floats, bytes } = views()
    const content = new ArrayBuffer(count * (20 + width + 1))
    const times = new Float64Array(content, 0, 2 * count)
    const uppers = new Uint32Array(content, 16 * count, count)
    const lists = new Uint8Array(content, 20 * count, width * count)
    const heads = new Uint8Array(content, (20 + width) * count, count)
    for (let i = 0; i < count; i++) {
      const slot = from + i
      if (layout.heads > 0 && ((bytes[layout.heads + (slot >> 3)]! >> (slot & 7)) & 1) === 0) continue
      const record = recordAt(layout, slot)
      heads[i] = 1
      times[i] = floats[record / 8 + RECORD.created]!
      times[count + i] = floats[record / 8 + RECORD.deleted]!
      const upper = words[record / 4 + RECORD.upper]!
      uppers[i] = upper === 0 ? 0 : upper - layout.upper + 1
      if (slot < linked) copyList(bytes, record + RECORD.list, lists, i * width, linked)
      else if (upper !== 0) upperLinked = Math.min(upperLinked, upper - layout.upper)
    }
    yield sealed(new Uint8Array(content))
  }
  const { bytes } = views()
  const upper = bytes.slice(layout.upper, layout.upper + upperUsed)
  for (let at = 0; at < upper.length; ) {
    const isLinked = at < upperLinked
    const level = upper[at]!
    at += 2
    for (let layer = 0; layer < level; layer++, at += listBytes(spec.m))
      if (isLinked) copyList(bytes, layout.upper + at, upper, at, linked)
      else upper.fill(0, at, at + 2)
  }
  yield sealed(upper)
}

/** Links to slots below `linked`. */
function copyList(from: Uint8Array, at: number, to: Uint8Array, place: number, linked: number): void {
  const count = from[at]!
  let kept = place + 2
  for (let id = at + 2, end = id + 3 * count; id < end; id += 3) {
    if ((from[id]! | (from[id + 1]! << 8) | (from[id + 2]! << 16)) >= linked) continue
    to[kept++] = from[id]!
    to[kept++] = from[id + 1]!
    to[kept++] = from[id + 2]!
  }
  to[place] = (kept - place - 2) / 3
  to[place + 1] = 0
}

/** The memory of a new graph that is filled. */
export interface Filling {
  /** Makes it reach to an address. */
  reserve(end: number): Views
  /** A block of slots: how many of them, from the first, were good. */
  slots(content: Uint8Array, from: number, count: number, whole: Written): number
}

/** Throws CheckpointError. */
export async function fillFrom(
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  spec: GraphSpec,
  layout: Layout,
  filling: Filling,
): Promise<Written> {
  const contents = contentsOf(blocks)
  const first = await contents.next()
  if (first.done === true) throw new CheckpointError('there are no blocks')
  const head = headOf(first.value)
  if (head.version !== VERSION) throw new CheckpointError(`version ${head.version} is not ${VERSION}`)
  if (head.kind !== kindOf(spec)) throw new CheckpointError(`a graph of ${head.kind} is not one of ${kindOf(spec)}`)
  const { slots, entry, upperUsed, coded } = head
  if (!(slots <= layout.slotsMax && entry <= slots && upperUsed <= layout.upperEnd - layout.upper))
    throw new CheckpointError('it is larger than the graph may be')
  const views = filling.reserve(endOf(layout, slots))
  const width = listBytes(2 * spec.m)
  const chunk = chunkOf(width)
  for (let from = 0; from < slots; from += chunk) {
    const count = Math.min(chunk, slots - from)
    const block = await contents.next()
    if (block.done === true || block.value.length !== count * (20 + width + 1))
      throw new CheckpointError('a block of slots is missing')
    const good = filling.slots(block.value, from, count, head)
    if (good < count) throw new CheckpointError(`slot ${from + good} has bad links`)
  }
  const last = await contents.next()
  if (last.done === true || last.value.length !== upperUsed) throw new CheckpointError('the upper lists are missing')
  checkUpper(last.value, spec.m, slots)
  views.bytes.set(last.value, layout.upper)
  if ((await contents.next()).done !== true) throw new CheckpointError('there are more blocks than slots')
  return { slots, entry, upperUsed, coded }
}

async function* contentsOf(
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, undefined> {
  let number = 0
  for await (const block of blocks) {
    const content = block.subarray(4)
    const sum = block.length < 4 ? -1 : new DataView(block.buffer, block.byteOffset).getUint32(0, true)
    if (sum !== crc32(content)) throw new CheckpointError(`block ${number} is damaged`)
    number++
    yield content
  }
  return undefined
}

function headOf(content: Uint8Array): Written & { readonly version: number; readonly kind: string } {
  try {
    return JSON.parse(Buffer.from(content).toString()) as Written & { version: number; kind: string }
  } catch {
    throw new CheckpointError('the first block is none')
  }
}

function checkUpper(upper: Uint8Array, m: number, slots: number): void {
  const stride = listBytes(m)
  for (let at = 0; at < upper.length; ) {
    const level = upper[at]!
    at += 2
    for (let layer = 0; layer < level; layer++, at += stride) {
      const count = at + stride > upper.length ? Infinity : upper[at]! | (upper[at + 1]! << 8)
      if (count > m || idsAt(upper, at).some((id) => id >= slots)) throw new CheckpointError('an upper list is bad')
    }
  }
}
