/**
 * A checkpoint of an index's graph on disk: what would cost time to make again. Vectors are not in it: they are the index's
 * entries. It is written beside the old one, made durable, and put in its place by a rename, so that a crash leaves one of both.
 *
 *     magic 8 bytes | blocks: u32 bytes, u32 CRC-32, bytes …
 *     block 0: JSON { version, fingerprint, linked, calibration, slots, graphBlocks }
 *     block 1: where each key begins (float64)   block 2: the keys   then the graph's own blocks
 *
 * Whatever does not fit (length, CRC, version, fingerprint) is a CheckpointDamage: the graph is built anew from the entries.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import type { CalibrationRow } from './calibration.ts'
import { SlotKeys } from './slot-keys.ts'

const MAGIC = Buffer.from('ALXGRAPH', 'latin1')
const VERSION = 1
const HEADER_BYTES = 8

class CheckpointDamage extends Error {
  override readonly name = 'CheckpointDamage'
}

interface Head {
  readonly version: number
  readonly fingerprint: string
  readonly linked: number
  readonly calibration: readonly CalibrationRow[]
  readonly graphBlocks: number
}

export interface CheckpointFile {
  readonly keys: SlotKeys
  readonly linked: number
  readonly calibration: readonly CalibrationRow[]
  readonly blocks: readonly Uint8Array[]
}

export interface Checkpoint extends CheckpointFile {
  readonly fingerprint: string
}

/** The file is durable under its name when this resolves. */
export async function writeCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  const { fingerprint, linked, calibration, keys, blocks } = checkpoint
  const head: Head = { version: VERSION, fingerprint, linked, calibration, graphBlocks: blocks.length }
  const { bytes, starts } = keys.packed
  // A copy: keys grow while the file is written.
  const named = Buffer.from(bytes)
  const places = Buffer.from(Uint8Array.from(new Uint8Array(starts.buffer, starts.byteOffset, starts.byteLength)))
  const temporary = `${file}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.write(MAGIC)
    for (const block of [Buffer.from(JSON.stringify(head)), places, named, ...blocks]) {
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt32LE(block.length, 0)
      header.writeUInt32LE(crc32(block), 4)
      await handle.write(header)
      await handle.write(block)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** undefined: there is none. Throws CheckpointDamage. */
export async function readCheckpoint(file: string, fingerprint: string): Promise<CheckpointFile | undefined> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const [first, places, named, ...blocks] = blocksOf(bytes)
  if (first === undefined || places === undefined || named === undefined)
    throw new CheckpointDamage('blocks are missing')
  const head = JSON.parse(first.toString()) as Head
  if (head.version !== VERSION) throw new CheckpointDamage(`its version is ${head.version}`)
  if (head.fingerprint !== fingerprint) throw new CheckpointDamage('it is of another index')
  if (head.graphBlocks !== blocks.length) throw new CheckpointDamage('blocks of the graph are missing')
  return {
    keys: keysOf(places, named),
    linked: head.linked,
    calibration: head.calibration,
    blocks: blocks.map((block) => new Uint8Array(block)),
  }
}

function blocksOf(bytes: Buffer): Buffer[] {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new CheckpointDamage('it is no checkpoint')
  const blocks: Buffer[] = []
  for (let at = MAGIC.length; at < bytes.length; ) {
    if (at + HEADER_BYTES > bytes.length) throw new CheckpointDamage('it ends within a header')
    const length = bytes.readUInt32LE(at)
    const block = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length)
    if (block.length !== length) throw new CheckpointDamage('it ends within a block')
    if (crc32(block) !== bytes.readUInt32LE(at + 4)) throw new CheckpointDamage(`block ${blocks.length} has changed`)
    blocks.push(block)
    at += HEADER_BYTES + length
  }
  return blocks
}

function keysOf(places: Buffer, named: Buffer): SlotKeys {
  const starts = new Float64Array(Uint8Array.from(places).buffer)
  const keys = new SlotKeys()
  for (let slot = 0; slot + 1 < starts.length; slot++) {
    const from = starts[slot]!
    const to = starts[slot + 1]!
    if (to > from) keys.add(named.latin1Slice(from, to), slot)
  }
  return keys
}

export async function removeCheckpoint(file: string): Promise<void> {
  await rm(file, { force: true })
  await rm(`${file}.new`, { force: true })
}
