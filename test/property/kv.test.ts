/**
 * Random interleavings of transactions over a few keys, against a model: a list of committed states, where a snapshot is
 * an index into it. Commits become visible when the disk is let go; garbage is collected in between. Then the same
 * histories of SERIALIZABLE transactions alone, judged from outside: some serial order must explain all that was read.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { rowsOf } from '../../storage/engine/page.ts'
import type { Key } from '../../storage/keys/brand.ts'
import { int32Key } from '../../storage/keys/encode.ts'
import { rowKeyPrefix, successor } from '../../storage/keys/map.ts'
import type { Isolation, Kv, Savepoint, Txn } from '../../storage/kv/kv.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { KvError } from '../../storage/range/errors.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { type ManualClock, manualClock } from '../storage/manual-clock.ts'

const KEYS = Array.from({ length: 6 }, (_, i) => int32Key(rowKeyPrefix(5, 16384), i))
const SESSIONS = 4
const LEVELS: readonly Isolation[] = ['read-committed', 'repeatable-read', 'serializable']

type State = ReadonlyMap<Key, string>
const apply = (state: State, writes: ReadonlyMap<Key, string | undefined>): State => {
  const next = new Map(state)
  for (const [key, value] of writes) {
    if (value === undefined) next.delete(key)
    else next.set(key, value)
  }
  return next
}

/** What a transaction did, for the judge of serial orders. */
type Deed =
  | { readonly kind: 'read'; readonly key: Key; readonly value: string | undefined }
  | { readonly kind: 'scan'; readonly from: Key; readonly to: Key; readonly rows: string }
  | { readonly kind: 'write'; readonly key: Key; readonly value: string | undefined }

interface Session {
  readonly txn: Txn
  readonly isolation: Isolation
  /** Index of the state it reads. */
  snapshot: number
  writes: Map<Key, string | undefined>
  readonly reads: Set<Key>
  readonly touched: Set<Key>
  savepoints: { readonly savepoint: Savepoint; readonly writes: Map<Key, string | undefined>; readonly deeds: number }[]
  readonly deeds: Deed[]
}

interface Step {
  readonly who: number
  readonly act: string
  readonly key: number
  readonly other: number
  readonly level: number
}

const ACTS = [
  ...[
    'begin',
    'statement',
    'get',
    'get',
    'newest',
    'scan',
    'scan',
    'scanBack',
    'many',
    'write',
    'write',
    'write',
    'remove',
  ],
  ...['savepoint', 'rollbackTo', 'commit', 'commit', 'rollback', 'disk', 'disk', 'advance', 'collect', 'drop'],
]
const steps = (acts: readonly string[], levels: readonly number[]) =>
  fc.array(
    fc.record({
      who: fc.nat(SESSIONS - 1),
      act: fc.constantFrom(...acts),
      key: fc.nat(5),
      other: fc.nat(5),
      level: fc.constantFrom(...levels),
    }),
    { minLength: 10, maxLength: 120, size: 'max' },
  )

class World {
  readonly clock: ManualClock = manualClock()
  due: (() => void)[] = []
  kv!: Kv
  readonly sessions: (Session | undefined)[] = Array.from({ length: SESSIONS }, () => undefined)
  readonly states: State[] = [new Map()]
  /** For each key the index of the state that changed it last. */
  readonly changed = new Map<Key, number>()
  readonly inFlight = new Set<Session>()
  readonly committed: Deed[][] = []
  values = 0

  async open(): Promise<void> {
    const engine = openMemoryEngine({ schedule: (run) => this.due.push(run) })
    this.kv = await openKv(engine, { clock: this.clock, openLog: openLocalLog(engine) })
  }

  disk(): void {
    while (this.due.length > 0) for (const run of this.due.splice(0)) run()
  }

  begin(who: number, isolation: Isolation): void {
    const txn = this.kv.begin({ isolation, readOnly: false, pid: who, lockTimeoutMs: () => 0 })
    txn.beginStatement()
    this.sessions[who] = {
      txn,
      isolation,
      snapshot: this.states.length - 1,
      writes: new Map(),
      reads: new Set(),
      touched: new Set(),
      savepoints: [],
      deeds: [],
    }
  }

  end(who: number): void {
    this.sessions[who]!.txn.rollback()
    this.sessions[who] = undefined
  }

  step({ who, act, key: n, other, level }: Step): void {
    const session = this.sessions[who]
    if (act === 'disk') this.disk()
    else if (act === 'advance') this.clock.advance(300)
    else if (act === 'collect') void this.kv.collectGarbage()
    else if (session === undefined) this.begin(who, LEVELS[level]!)
    else this.act(who, session, act, KEYS[n]!, KEYS[other]!)
  }

  act(who: number, session: Session, act: string, key: Key, other: Key): void {
    const { txn } = session
    const view = () => apply(this.states[session.snapshot]!, session.writes)
    const newest = () => apply(this.states.at(-1)!, session.writes)
    const text = (found: ReturnType<Txn['get']>) => found?.buffer.latin1Slice(found.start, found.end)
    switch (act) {
      case 'begin':
      case 'statement':
        txn.beginStatement()
        if (session.isolation === 'read-committed') session.snapshot = this.states.length - 1
        return
      case 'get':
      case 'newest': {
        const value = text(act === 'get' ? txn.get(key) : txn.getNewest(key))
        expect(value).toBe((act === 'get' ? view() : newest()).get(key))
        if (!session.writes.has(key)) session.reads.add(key)
        session.deeds.push({ kind: 'read', key, value })
        return
      }
      case 'many': {
        const wanted = [other, ...KEYS.filter((it) => it > key)]
        const state = view()
        const rows = rowsOf(txn.getMany(wanted)).map((row) => [row.key, row.value.latin1Slice()])
        expect(rows).toEqual(wanted.flatMap((it) => (state.has(it) ? [[it, state.get(it)]] : [])))
        for (const it of wanted) {
          session.reads.add(it)
          session.deeds.push({ kind: 'read', key: it, value: state.get(it) })
        }
        return
      }
      case 'scan':
      case 'scanBack':
        this.scan(session, key < other ? key : other, successor(key < other ? other : key), act === 'scanBack', view())
        break
      case 'write':
      case 'remove':
        this.write(who, session, key, act === 'remove' ? undefined : `v${this.values++}`)
        break
      case 'savepoint':
        session.savepoints.push({
          savepoint: txn.savepoint(),
          writes: new Map(session.writes),
          deeds: session.deeds.length,
        })
        return
      case 'rollbackTo': {
        const back = session.savepoints.pop()
        if (back === undefined) return
        txn.rollbackTo(back.savepoint)
        session.writes = new Map(back.writes)
        session.deeds.length = back.deeds
        return
      }
      case 'commit':
        this.commit(who, session)
        break
      case 'rollback':
        this.end(who)
        break
      case 'drop':
        // Keys of another table: nothing here may change.
        this.kv.scheduleRemoval(txn, { from: rowKeyPrefix(5, 16385), to: rowKeyPrefix(5, 16386) })
        break
    }
  }

  scan(session: Session, from: Key, to: Key, reverse: boolean, state: State): void {
    const scanner = session.txn.scan({ from, to }, { reverse })
    const rows: string[] = []
    for (let page = scanner.next(2); page !== undefined; page = scanner.next(2)) {
      rows.push(...rowsOf(page).map((row) => `${KEYS.indexOf(row.key)}=${row.value.latin1Slice()}`))
    }
    scanner.close()
    const expected = rowsIn(state, from, to)
    expect((reverse ? rows.reverse() : rows).join(' ')).toBe(expected)
    for (const key of KEYS) if (key >= from && key < to) session.reads.add(key)
    session.deeds.push({ kind: 'scan', from, to, rows: expected })
  }

  write(who: number, session: Session, key: Key, value: string | undefined): void {
    const { txn } = session
    const others = [...this.inFlight, ...this.sessions.filter((it) => it !== undefined)].filter((it) => it !== session)
    const granted = txn.lock(key, 'update', 'skip') !== false
    if (others.some((it) => it.writes.has(key))) expect(granted).toBe(false)
    if (!granted) {
      expect(others.some((it) => it.touched.has(key))).toBe(true)
      return
    }
    session.touched.add(key)
    const isStale = !session.writes.has(key) && (this.changed.get(key) ?? 0) > session.snapshot
    let refused: KvError | undefined
    try {
      txn.checkUnchanged(key)
    } catch (error) {
      if (!(error instanceof KvError)) throw error
      refused = error
    }
    expect(refused?.reason.kind).toBe(
      isStale ? (session.isolation === 'read-committed' ? 'statement-restart' : 'write-conflict') : undefined,
    )
    if (isStale && session.isolation !== 'read-committed') {
      this.end(who)
      return
    }
    if (isStale) {
      txn.restartStatement(txn.savepoint())
      session.snapshot = this.states.length - 1
      txn.checkUnchanged(key)
    }
    if (value === undefined) txn.remove(key)
    else txn.put(key, Buffer.from(value))
    session.writes.set(key, value)
    session.deeds.push({ kind: 'write', key, value })
  }

  commit(who: number, session: Session): void {
    this.sessions[who] = undefined
    const inFlightWrites = new Set([...this.inFlight].flatMap((it) => [...it.writes.keys()]))
    const isStale = [...session.reads].some(
      (key) => (this.changed.get(key) ?? 0) > session.snapshot || inFlightWrites.has(key),
    )
    const isRefused = session.isolation === 'serializable' && session.writes.size > 0 && isStale
    if (session.writes.size > 0) this.inFlight.add(session)
    session.txn.commitThen((error) => {
      this.inFlight.delete(session)
      expect(error instanceof KvError ? error.reason.kind : error).toBe(isRefused ? 'read-conflict' : undefined)
      if (error !== undefined) return
      this.committed.push(session.deeds)
      if (session.writes.size === 0) return
      this.states.push(apply(this.states.at(-1)!, session.writes))
      for (const key of session.writes.keys()) this.changed.set(key, this.states.length - 1)
    })
  }

  finish(): void {
    for (const [who, session] of this.sessions.entries()) if (session !== undefined) this.end(who)
    this.disk()
    expect(this.inFlight.size).toBe(0)
    expect(this.kv.locks()).toEqual([])
    const state = this.states.at(-1)!
    for (const key of KEYS) {
      const found = this.kv.get(key)
      expect(found?.buffer.latin1Slice(found.start, found.end)).toBe(state.get(key))
    }
  }
}

const rowsIn = (state: State, from: Key, to: Key) =>
  KEYS.flatMap((key, i) => (key >= from && key < to && state.has(key) ? [`${i}=${state.get(key)}`] : [])).join(' ')

test('transactions of every level read what the model says, and conflict when it says so', async () => {
  await fc.assert(
    fc.asyncProperty(steps(ACTS, [0, 1, 2]), async (script) => {
      const world = new World()
      await world.open()
      for (const step of script) world.step(step)
      world.finish()
    }),
    { numRuns: 400 },
  )
})

/** True when the transactions, one after the other in some order, would have read exactly this. */
function isSerializable(state: State, left: readonly (readonly Deed[])[], final: State): boolean {
  if (left.length === 0) return KEYS.every((key) => state.get(key) === final.get(key))
  return left.some((deeds, i) => {
    const after = runAlone(state, deeds)
    return (
      after !== undefined &&
      isSerializable(
        after,
        left.filter((_, j) => j !== i),
        final,
      )
    )
  })
}

function runAlone(before: State, deeds: readonly Deed[]): State | undefined {
  let state = before
  for (const deed of deeds) {
    if (deed.kind === 'write') state = apply(state, new Map([[deed.key, deed.value]]))
    else if (deed.kind === 'read' && state.get(deed.key) !== deed.value) return undefined
    else if (deed.kind === 'scan' && rowsIn(state, deed.from, deed.to) !== deed.rows) return undefined
  }
  return state
}

test('histories of SERIALIZABLE transactions have a serial order', async () => {
  const acts = ['get', 'get', 'scan', 'scanBack', 'many', 'write', 'write', 'write', 'remove', 'commit', 'disk']
  await fc.assert(
    fc.asyncProperty(steps(acts, [2]), async (script) => {
      const world = new World()
      await world.open()
      for (const step of script) {
        if (world.committed.length + world.inFlight.size >= 6) break
        world.step(step)
      }
      world.finish()
      expect(isSerializable(new Map(), world.committed, world.states.at(-1)!)).toBe(true)
    }),
    { numRuns: 400 },
  )
})
