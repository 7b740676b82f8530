/**
 * The engine over RocksDB: a thin layer on the native addon (native/).
 *
 * Keys, timestamps and results travel through two registered buffers (`control`, `values`) instead of JavaScript
 * values: a conversion costs as much as the read. Scans fill a page with versions resolved natively. Writes are handed
 * to a writer thread that commits all that waits with one fsync; it is woken once a turn of the event loop, so that
 * everything a turn commits shares that fsync.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Key, key, type Timestamp, timestamp } from '../keys/brand.ts'
import { asWriteBatch, familyNumber, rawFamily, WriteBatch } from './batch.ts'
import {
  type Batch,
  type ColumnFamily,
  type Engine,
  EngineError,
  type EngineOptions,
  type EngineReason,
  type Entries,
  type Found,
  type Page,
  type Scanner,
  type ScanOptions,
} from './engine.ts'
import { rowsOf } from './page.ts'

const ROCKSDB_VERSION = '6.17.3'
const CACHE_BYTES = 128 << 20
const WRITE_BUFFER_BYTES = 64 << 20
const PAGE_BYTES = 320 << 10 // of a cursor: a page ends after the row that crosses 256 KiB
const KEPT_BYTES_MAX = 1 << 20 // a buffer that grew beyond it for one large value is given back
const CONTROL_BYTES = 16 << 10
const VALUES_BYTES = 64 << 10
const TRIM_MS = 1000 // how long an idle iterator may hold memory and files that are otherwise dead
const TWO_32 = 4294967296
const LOOP_COPY_MAX = 40

// Places in `control`, as in native/binding.cc.
const FROM_BYTES = 0
const TO_BYTES = 1
const AT_LOW = 2
const AT_HIGH = 3
const SLOT = 4
const ROWS = 5
const FLAGS = 6
const AHEAD = 7
const STATUS = 8
const RESULT_A = 9
const RESULT_B = 10
const LOW = 11
const HIGH = 12
const KEYS_AT = 64

const NONE = 0
const FOUND = 1
const DELETED = 2
const GROW = 3

const FLAG_FIRST = 1
const FLAG_REVERSE = 2
const FLAG_TOMBSTONES = 4
const FLAG_VERSIONS = 8
const FLAG_AHEAD = 16
const FLAG_COUNT_ONLY = 32

const WRITE_SYNC = 1
const WRITE_DELETES_RANGES = 2

interface NativeEngine {
  registerBuffers(control: Buffer, values: Buffer): void
  registerSlot(slot: number, family: number, page: Buffer): void
  get(): void
  getRaw(family: number): void
  getMany(keys: Buffer, count: number): void
  changedSince(): void
  fill(): void
  settle(slot: number): void
  release(slot: number): void
  trim(busy: Buffer): void
  lastError(): NativeError
  approximateBytes(): number
  approximateKeys(): number
  property(family: number, name: string): string | undefined
  write(batch: Buffer, bytes: number, flags: number): boolean
  wake(): void
  checkpoint(path: string): Promise<void>
  flush(): Promise<void>
  compact(): Promise<void>
  load(rows: Buffer, start: number, end: number, areEntries: boolean, atLow: number, atHigh: number): Promise<void>
  loadEnd(commit: boolean): Promise<void>
  close(): Promise<void>
}

type NativeError = Error & { readonly code: EngineReason }

interface NativeModule {
  readonly rocksdbVersion: string
  selfTest(path: string, batch: Buffer, bytes: number, at: number, page: Buffer): number
  open(
    path: string,
    cacheBytes: number,
    writeBufferBytes: number,
    noSync: boolean,
    onDone: (batches: number, error: NativeError | undefined) => void,
  ): NativeEngine
}

type Done = (error: Error | undefined) => void

let loaded: NativeModule | undefined

/** Loads the addon once. It is tested before its first use, not at every start: a file beside it names the build that was. */
function native(path: string): NativeModule {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const folder = join(import.meta.dirname, 'native', 'build', 'Release')
  const file = join(folder, 'engine.node')
  if (!existsSync(file)) {
    throw new EngineError(
      'invalid',
      'the native storage engine is not built: run `npm run install` (needs python3, make, g++)',
    )
  }
  const module = require(file) as NativeModule
  if (module.rocksdbVersion !== ROCKSDB_VERSION) {
    throw new EngineError(
      'invalid',
      `the native storage engine was built for RocksDB ${module.rocksdbVersion}, not ${ROCKSDB_VERSION}: run \`npm run install\``,
    )
  }
  const { size, mtimeMs } = statSync(file)
  const build = `${size} ${mtimeMs} ${process.version}`
  const tested = `${file}.tested`
  if (!existsSync(tested) || readFileSync(tested, 'latin1') !== build) {
    selfTest(module, path)
    note(tested, build)
  }
  loaded = module
  return module
}

/** Where nothing may be written, the next start tests again. */
function note(file: string, text: string): void {
  try {
    writeFileSync(file, text, 'latin1')
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

function engineError(error: unknown, path: string): Error {
  if (!(error instanceof Error) || error instanceof EngineError) return error as Error
  const { code, message } = error as NativeError
  if (code === 'locked') return new EngineError('locked', `the data folder ${path} is in use by another process`)
  return new EngineError(code ?? 'io', message.replaceAll('\n', ' '))
}

export interface RocksEngine extends Engine {
  /** RocksDB's own properties, for metrics and tools, e.g. `rocksdb.levelstats`. */
  property(family: ColumnFamily, name: string): string | undefined
}

/** Opens the store in a folder, made when it is missing. Throws EngineError. Threads that open one path share it. */
export function openRocksEngine(options: EngineOptions): RocksEngine {
  try {
    mkdirSync(options.path, { recursive: true })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new EngineError(code === 'ENOSPC' ? 'disk-full' : 'io', message)
  }
  const path = realpathSync(options.path)
  return new Rocks(native(path), { ...options, path })
}

class Rocks implements RocksEngine {
  readonly #native: NativeEngine
  readonly #path: string
  #control = Buffer.alloc(CONTROL_BYTES)
  #words: Uint32Array
  #values = Buffer.allocUnsafeSlow(VALUES_BYTES)
  #keys = Buffer.allocUnsafeSlow(4096)
  readonly #pages: Buffer[] = []
  readonly #free: number[][] = [[], [], [], []]
  #busy = Buffer.alloc(16)
  #waiting: (Done | undefined)[] = []
  #firstWaiting = 0
  #wakes = false
  #closed: Promise<void> | undefined
  #drained: (() => void) | undefined
  #loading: Promise<void> = Promise.resolve()
  readonly #working = new Set<Promise<void>>()
  readonly #trimmer: NodeJS.Timeout

  constructor(module: NativeModule, options: EngineOptions) {
    this.#path = options.path
    try {
      this.#native = module.open(
        options.path,
        options.cacheBytes ?? CACHE_BYTES,
        options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
        options.unsafeNoSync ?? false,
        (batches, error) => this.#onDone(batches, error),
      )
    } catch (error) {
      throw engineError(error, options.path)
    }
    this.#words = words(this.#control)
    this.#native.registerBuffers(this.#control, this.#values)
    this.#trimmer = setInterval(() => this.#trim(), TRIM_MS).unref()
  }

  get(rowKey: Key, at: Timestamp): Found | undefined {
    if (this.#closed) throw closed()
    const status = this.#read(rowKey, at)
    if (status !== FOUND) return undefined
    const w = this.#words
    return { buffer: this.#values, start: 0, end: w[RESULT_A]!, timestamp: timestamp(w[HIGH]! * TWO_32 + w[LOW]!) }
  }

  newest(rowKey: Key): { readonly timestamp: Timestamp; readonly deleted: boolean } | undefined {
    if (this.#closed) throw closed()
    const status = this.#read(rowKey, Number.MAX_SAFE_INTEGER)
    if (status === NONE) return undefined
    const w = this.#words
    return { timestamp: timestamp(w[HIGH]! * TWO_32 + w[LOW]!), deleted: status === DELETED }
  }

  #read(rowKey: Key, at: number): number {
    const length = rowKey.length
    const control = this.#control
    if (length > LOOP_COPY_MAX) this.#putLongKey(rowKey)
    else for (let i = 0; i < length; i++) control[KEYS_AT + i] = rowKey.charCodeAt(i)
    const w = this.#words
    w[FROM_BYTES] = length
    w[AT_LOW] = at
    w[AT_HIGH] = at / TWO_32
    this.#native.get()
    const status = w[STATUS]!
    if (status <= DELETED) return status
    if (status !== GROW) throw this.#failure()
    this.#growValues(w[RESULT_A]!)
    return this.#read(rowKey, at)
  }

  getMany(keys: readonly Key[], at: Timestamp): Page {
    if (this.#closed) throw closed()
    let size = 0
    for (const k of keys) size += 4 + k.length
    if (size > this.#keys.length) this.#keys = Buffer.allocUnsafeSlow(size * 2)
    let o = 0
    for (const k of keys) {
      o = this.#keys.writeUInt32LE(k.length, o)
      o += this.#keys.latin1Write(k, o)
    }
    this.#setTime(at)
    const w = this.#words
    this.#native.getMany(this.#keys, keys.length)
    if (w[STATUS] === GROW) {
      this.#growValues(w[RESULT_B]!)
      this.#native.getMany(this.#keys, keys.length)
    }
    if (w[STATUS] !== FOUND) throw this.#failure()
    return { buffer: this.#values, bytes: w[RESULT_B]!, count: w[RESULT_A]! }
  }

  scan(options: ScanOptions): Scanner {
    if (this.#closed) throw closed()
    let flags = options.reverse ? FLAG_REVERSE : 0
    if (options.tombstones) flags |= FLAG_TOMBSTONES
    if (options.versions) flags |= FLAG_VERSIONS
    if (flags === 0) flags = (options.ahead ? FLAG_AHEAD : 0) | (options.countOnly ? FLAG_COUNT_ONLY : 0)
    return this.#cursor(0, options.from, options.to, options.at, flags)
  }

  changedSince(from: Key, to: Key, after: Timestamp): boolean {
    if (this.#closed) throw closed()
    if (from >= to) return false
    this.#setSpan(from, to)
    this.#setTime(after)
    this.#native.changedSince()
    const status = this.#words[STATUS]!
    if (status !== FOUND && status !== NONE) throw this.#failure()
    return status === FOUND
  }

  getRaw(family: ColumnFamily, rawKey: Key): Buffer | undefined {
    if (this.#closed) throw closed()
    const number = rawFamily(family)
    this.#setSpan(rawKey, '')
    const w = this.#words
    this.#native.getRaw(number)
    if (w[STATUS] === GROW) {
      this.#growValues(w[RESULT_A]!)
      this.#native.getRaw(number)
    }
    if (w[STATUS] === NONE) return undefined
    if (w[STATUS] !== FOUND) throw this.#failure()
    return Buffer.from(this.#values.subarray(0, w[RESULT_A]))
  }

  *scanRaw(family: ColumnFamily, from: Key, to: Key): Iterable<readonly [Key, Buffer]> {
    if (this.#closed) throw closed()
    const scanner = this.#cursor(rawFamily(family), from, to, 0, 0)
    try {
      for (let page = scanner.next(1024); page; page = scanner.next(1024)) {
        for (const row of rowsOf(page)) yield [row.key, row.value]
      }
    } finally {
      scanner.close()
    }
  }

  createBatch(): Batch {
    return new WriteBatch()
  }

  write(batch: Batch, durability: 'synced' | 'buffered'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writeThen(batch, durability, (error) => (error ? reject(error) : resolve()))
    })
  }

  writeThen(batch: Batch, durability: 'synced' | 'buffered', done: Done): void {
    if (this.#closed) {
      queueMicrotask(() => done(closed()))
      return
    }
    const b = asWriteBatch(batch)
    this.#waiting.push(done)
    const flags = (durability === 'synced' ? WRITE_SYNC : 0) | (b.deletesRanges ? WRITE_DELETES_RANGES : 0)
    if (this.#native.write(b.buffer, b.bytes, flags) && !this.#wakes) {
      this.#wakes = true
      setImmediate(() => {
        this.#wakes = false
        this.#native.wake()
      })
    }
  }

  #onDone(batches: number, nativeError: NativeError | undefined): void {
    const error = nativeError && engineError(nativeError, this.#path)
    for (let i = 0; i < batches; i++) {
      const done = this.#waiting[this.#firstWaiting]!
      this.#waiting[this.#firstWaiting++] = undefined
      try {
        done(error)
      } catch (thrown) {
        // A callback's error is its owner's: it must not keep the others from hearing.
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
    if (this.#firstWaiting === this.#waiting.length) {
      this.#waiting = []
      this.#firstWaiting = 0
      this.#drained?.()
    } else if (this.#firstWaiting > 4096) {
      this.#waiting = this.#waiting.slice(this.#firstWaiting)
      this.#firstWaiting = 0
    }
  }

  ingest(rows: Iterable<Page | Entries>, at: Timestamp): Promise<void> {
    const load = this.#loading.then(async () => {
      if (this.#closed) throw closed()
      try {
        for (const some of rows) {
          const isPage = 'bytes' in some
          const [start, end] = isPage ? [0, some.bytes] : [some.start, some.end]
          await this.#native.load(some.buffer, start, end, !isPage, at >>> 0, (at / TWO_32) >>> 0)
        }
      } catch (error) {
        await this.#native.loadEnd(false)
        throw engineError(error, this.#path)
      }
      await this.#slow(this.#native.loadEnd(true))
    })
    this.#loading = load.catch(() => undefined) // the caller hears of it; the next load begins anew
    return load
  }

  async checkpoint(path: string): Promise<void> {
    if (this.#closed) throw closed()
    await this.#slow(this.#native.checkpoint(path))
  }

  async flush(): Promise<void> {
    if (this.#closed) throw closed()
    await this.#slow(this.#native.flush())
  }

  async compact(): Promise<void> {
    if (this.#closed) throw closed()
    await this.#slow(this.#native.compact())
  }

  approximateBytes(from: Key, to: Key): number {
    if (this.#closed) throw closed()
    if (from >= to) return 0
    this.#setSpan(from, to)
    return this.#native.approximateBytes()
  }

  approximateKeys(): number {
    if (this.#closed) throw closed()
    return this.#native.approximateKeys()
  }

  property(family: ColumnFamily, name: string): string | undefined {
    if (this.#closed) throw closed()
    return this.#native.property(familyNumber(family), name)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    clearInterval(this.#trimmer)
    if (this.#waiting.length > 0) {
      this.#native.wake()
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
    }
    await this.#loading
    await Promise.allSettled(this.#working) // they hold the store open; their callers hear how they end
    await this.#slow(this.#native.close())
  }

  async #slow(work: Promise<void>): Promise<void> {
    this.#working.add(work)
    try {
      await work
    } catch (error) {
      throw engineError(error, this.#path)
    } finally {
      this.#working.delete(work)
    }
  }

  #failure(): Error {
    return engineError(this.#native.lastError(), this.#path)
  }

  #cursor(family: number, from: Key, to: Key, at: number, flags: number): Scanner {
    let slot = -1
    let ended = from >= to
    let first = FLAG_FIRST
    let isAhead = 0
    const close = () => {
      ended = true
      if (slot < 0) return
      if (isAhead !== 0 && !this.#closed) this.#native.settle(slot)
      this.#releaseSlot(slot, family)
      slot = -1
    }
    const next = (rows: number): Page | undefined => {
      if (ended) return undefined
      if (this.#closed) throw closed()
      if (slot < 0) slot = this.#takeSlot(family)
      if (first) {
        this.#setSpan(from, to)
        this.#setTime(at)
      }
      const w = this.#words
      for (;;) {
        w[SLOT] = slot
        w[ROWS] = rows
        w[FLAGS] = flags | first
        this.#native.fill()
        first = 0
        isAhead = w[AHEAD]!
        const status = w[STATUS]!
        if (status === FOUND) return { buffer: this.#pages[slot]!, bytes: w[RESULT_B]!, count: w[RESULT_A]! }
        if (status === GROW) {
          this.#setPage(slot, family, w[RESULT_B]!)
          continue
        }
        close()
        if (status === NONE) return undefined
        throw this.#failure()
      }
    }
    return { next, close }
  }

  #takeSlot(family: number): number {
    let slot = this.#free[family]!.pop()
    if (slot === undefined) {
      slot = this.#pages.length
      this.#setPage(slot, family, PAGE_BYTES)
      if (slot >= this.#busy.length) this.#busy = Buffer.concat([this.#busy, Buffer.alloc(this.#busy.length)])
    }
    this.#busy[slot] = 1
    return slot
  }

  #releaseSlot(slot: number, family: number): void {
    this.#busy[slot] = 0
    if (this.#closed) return
    if (this.#pages[slot]!.length > KEPT_BYTES_MAX) this.#setPage(slot, family, PAGE_BYTES)
    if (family !== 0) this.#native.release(slot)
    this.#free[family]!.push(slot)
  }

  #setPage(slot: number, family: number, bytes: number): void {
    const page = Buffer.allocUnsafeSlow(bytes)
    this.#pages[slot] = page
    this.#native.registerSlot(slot, family, page)
  }

  #trim(): void {
    if (this.#values.length > KEPT_BYTES_MAX) {
      this.#values = Buffer.allocUnsafeSlow(VALUES_BYTES)
      this.#native.registerBuffers(this.#control, this.#values)
    }
    this.#native.trim(this.#busy)
  }

  #setTime(at: number): void {
    this.#words[AT_LOW] = at
    this.#words[AT_HIGH] = at / TWO_32
  }

  #setSpan(from: string, to: string): void {
    const needed = KEYS_AT + from.length + to.length
    if (needed > this.#control.length) this.#growControl(needed)
    copyKey(from, this.#control, KEYS_AT)
    copyKey(to, this.#control, KEYS_AT + from.length)
    this.#words[FROM_BYTES] = from.length
    this.#words[TO_BYTES] = to.length
  }

  #putLongKey(rowKey: Key): void {
    if (KEYS_AT + rowKey.length > this.#control.length) this.#growControl(KEYS_AT + rowKey.length)
    this.#control.latin1Write(rowKey, KEYS_AT)
  }

  #growControl(needed: number): void {
    this.#control = Buffer.alloc(needed * 2)
    this.#words = words(this.#control)
    this.#native.registerBuffers(this.#control, this.#values)
  }

  #growValues(needed: number): void {
    this.#values = Buffer.allocUnsafeSlow(needed + (needed >> 1))
    this.#native.registerBuffers(this.#control, this.#values)
  }
}

const words = (control: Buffer) => new Uint32Array(control.buffer, control.byteOffset, KEYS_AT / 4)

function copyKey(from: string, to: Buffer, at: number): void {
  const { length } = from
  if (length > LOOP_COPY_MAX) to.latin1Write(from, at)
  else for (let i = 0; i < length; i++) to[at + i] = from.charCodeAt(i)
}

const closed = () => new EngineError('closed', 'the engine is closed')

/**
 * What the addon was compiled from must fit together, which a link cannot see: a tiny store is written, read back and
 * scanned both ways. Throws EngineError 'invalid'.
 */
function selfTest(module: NativeModule, folder: string): void {
  const path = mkdtempSync(join(folder, 'self-test-'))
  try {
    const batch = new WriteBatch()
    const at = 1_000
    const value = (text: string) => Buffer.from(text)
    batch.put(key('a'), 5, value('old'))
    batch.put(key('a'), 7, value('new'))
    batch.put(key('a'), 2_000, value('later'))
    batch.put(key('ab'), 6, value('longer'))
    batch.remove(key('b'), 8)
    batch.putRaw('local', key('raw'), value('raw'))
    const page = Buffer.alloc(4096)
    const bytes = module.selfTest(path, batch.buffer, batch.bytes, at, page)
    const seen = rowsOf({ buffer: page, bytes, count: 4 }).map((r) => `${r.key}@${r.timestamp}=${r.value}`)
    if (seen.join(' ') !== 'a@7=new ab@6=longer ab@6=longer a@7=new') {
      throw new EngineError(
        'invalid',
        `the native storage engine fails its self-test (${seen.join(' ')}): run \`npm run install\``,
      )
    }
  } catch (error) {
    throw engineError(error, path)
  } finally {
    rmSync(path, { recursive: true })
  }
}
