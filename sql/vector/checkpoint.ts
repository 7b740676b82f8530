/**
 * A checkpoint of an index's graph on disk: what would cost time to make again. Vectors are not in it: they are the index's
 * entries. It is written beside the old one, made durable, and put in its place by a rename, so that a crash leaves one of both.
 *
 *     magic 8 bytes | blocks: u32 bytes, u32 CRC-32, bytes …
 *     block 0   JSON { version, fingerprint, keyBlocks, notes: { linked, calibration, … } }
 *     then      keyBlocks of keys: u32 slots | where each begins u32 … and the last one ends | the keys
 *     then      the graph's own blocks, which have a CRC within: theirs here is 0
 *
 * Both ways go block by block, some hundred kilobytes at a time: others have their turn between them. Whatever does not fit
 * (length, CRC, version, fingerprint) is a CheckpointDamage: the graph is built anew from the entries.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { CalibrationRow } from './calibration.ts'
import { GROUP_SLOTS, type PackedKeys, SlotKeys } from './slot-keys.ts'

const MAGIC = Buffer.from('ALXGRAPH', 'latin1')
const VERSION = 4
const HEADER_BYTES = 8
/** A length beyond is damage: no block is nearly as long. */
const BLOCK_BYTES_MAX = 2 ** 30

class CheckpointDamage extends Error {
  override readonly name = 'CheckpointDamage'
}

interface Head {
  readonly version: number
  readonly fingerprint: string
  readonly keyBlocks: number
  readonly notes: CheckpointNotes
}

/** What there is beside graph and keys. */
export interface CheckpointNotes {
  /** Slots that were linked. */
  readonly linked: number
  readonly calibration: readonly CalibrationRow[]
  readonly builtAt?: number | undefined
  readonly buildMs?: number | undefined
}

export interface Checkpoint {
  readonly fingerprint: string
  readonly notes: CheckpointNotes
  /** Of its keys, the first so many. */
  readonly keys: SlotKeys
  readonly keyCount: number
  readonly blocks: Iterable<Uint8Array>
}

export interface CheckpointFile<G> {
  readonly graph: G
  readonly keys: SlotKeys
  readonly notes: CheckpointNotes
}

/** The file is durable under its name when this resolves with true. False: `isOver` said so. What was begun is removed, also after an error. */
export async function writeCheckpoint(file: string, checkpoint: Checkpoint, isOver: () => boolean): Promise<boolean> {
  const temporary = `${file}.new`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await writeAll(handle, MAGIC)
      for (const block of blocksOf(checkpoint)) {
        if (isOver()) break
        await writeAll(handle, block)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (isOver()) {
      await rm(temporary, { force: true })
      return false
    }
    await rename(temporary, file)
  } catch (error) {
    // A full disk needs the room.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
  return true
}

/** A write may write less than it was given: what is left then says why. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten
}

function* blocksOf(checkpoint: Checkpoint): Generator<Uint8Array> {
  const { fingerprint, notes, keys, keyCount, blocks } = checkpoint
  const head: Head = { version: VERSION, fingerprint, keyBlocks: keys.packedBlocks(keyCount), notes }
  yield block([Buffer.from(JSON.stringify(head))], true)
  for (const { starts, bytes } of keys.packed(keyCount)) {
    const count = Buffer.alloc(4)
    count.writeUInt32LE(starts.length - 1)
    yield block([count, Buffer.from(starts.buffer, starts.byteOffset, starts.byteLength), bytes], true)
  }
  for (const each of blocks) yield block([each], false)
}

function block(parts: readonly Uint8Array[], isSealed: boolean): Uint8Array {
  const content = Buffer.concat([Buffer.alloc(HEADER_BYTES), ...parts])
  content.writeUInt32LE(content.length - HEADER_BYTES, 0)
  if (isSealed) content.writeUInt32LE(crc32(content.subarray(HEADER_BYTES)), 4)
  return content
}

/** undefined: there is none. `restore` makes the graph of its blocks. Throws CheckpointDamage, and what `restore` throws. */
export async function readCheckpoint<G>(
  file: string,
  fingerprint: string,
  restore: (blocks: AsyncIterable<Uint8Array>) => Promise<G>,
): Promise<CheckpointFile<G> | undefined> {
  let handle: FileHandle
  try {
    handle = await open(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const blocks = blocksIn(handle)
    const head = headOf(await sealed(blocks), fingerprint)
    const keys = new SlotKeys()
    keys.expect(head.keyBlocks * GROUP_SLOTS)
    for (let i = 0; i < head.keyBlocks; i++)
      if (!keys.restore(packedOf(await sealed(blocks)))) throw new CheckpointDamage('its keys are none')
    const graph = await restore(contents(blocks))
    return { graph, keys, notes: head.notes }
  } finally {
    await handle.close()
  }
}

interface Block {
  readonly number: number
  readonly sum: number
  readonly content: Uint8Array
}

/** Blocks in their order. Each may be used until the next one is asked for; meanwhile that is read. */
async function* blocksIn(handle: FileHandle): AsyncGenerator<Block, undefined> {
  const { size } = await handle.stat()
  const begin = Buffer.alloc(MAGIC.length + HEADER_BYTES)
  await readAll(handle, begin, 0)
  if (!begin.subarray(0, MAGIC.length).equals(MAGIC)) throw new CheckpointDamage('it is no checkpoint')
  const buffers: Buffer[] = []
  let at = begin.length
  /** The block after `header`, with the header behind it if there is one. */
  const read = async (header: Buffer, number: number) => {
    const length = header.readUInt32LE(0)
    const sum = header.readUInt32LE(4)
    if (length > BLOCK_BYTES_MAX || at + length > size) throw new CheckpointDamage('it ends within a block')
    const wanted = Math.min(length + HEADER_BYTES, size - at)
    let buffer = buffers[number & 1]
    if (buffer === undefined || buffer.length < wanted) buffer = buffers[number & 1] = Buffer.allocUnsafeSlow(wanted)
    await readAll(handle, buffer.subarray(0, wanted), at)
    at += wanted
    return {
      block: { number, sum, content: new Uint8Array(buffer.buffer, 0, length) },
      next: buffer.subarray(length, wanted),
    }
  }
  for (let coming = read(begin.subarray(MAGIC.length), 0), number = 1; ; number++) {
    const { block, next } = await coming
    if (next.length === 0) {
      yield block
      return undefined
    }
    coming = read(next, number)
    // Whoever stops reading does not hear of it.
    coming.catch(() => undefined)
    yield block
  }
}

async function readAll(handle: FileHandle, into: Buffer, from: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await handle.read(into, at, into.length - at, from + at)
    if (bytesRead === 0) throw new CheckpointDamage('it ends within a header')
    at += bytesRead
  }
}

/** The next block, whose CRC stands before it. */
async function sealed(blocks: AsyncGenerator<Block, undefined>): Promise<Uint8Array> {
  const { value } = await blocks.next()
  if (value === undefined) throw new CheckpointDamage('blocks are missing')
  if (crc32(value.content) !== value.sum) throw new CheckpointDamage(`block ${value.number} has changed`)
  return value.content
}

async function* contents(blocks: AsyncIterable<Block>): AsyncGenerator<Uint8Array> {
  for await (const { content } of blocks) yield content
}

function headOf(content: Uint8Array, fingerprint: string): Head {
  const head = JSON.parse(Buffer.from(content).toString()) as Head
  if (head.version !== VERSION) throw new CheckpointDamage(`its version is ${head.version}`)
  if (head.fingerprint !== fingerprint) throw new CheckpointDamage('it is of another index')
  return head
}

function packedOf(content: Uint8Array): PackedKeys {
  const words = content.byteOffset % 4 === 0 ? content : Uint8Array.from(content)
  const [count = 0] = new Uint32Array(words.buffer, words.byteOffset, 1)
  const bytesAt = 4 * (count + 2)
  if (count === 0 || bytesAt > words.length) throw new CheckpointDamage('its keys are none')
  const starts = new Uint32Array(words.buffer, words.byteOffset + 4, count + 1)
  return { starts, bytes: Buffer.from(words.subarray(bytesAt)) }
}

export async function removeCheckpoint(file: string): Promise<void> {
  await rm(file, { force: true })
  await rm(`${file}.new`, { force: true })
}
