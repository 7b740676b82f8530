/**
 * Plays interleaved sessions over one kv: what each command answers, who waits, and who goes on because of it. The store
 * is in memory; its disk writes when a command ends (unless 'hold' keeps it), and the clock moves by 'advance' alone, so a
 * script tells the same story every time.
 *
 *     c1: begin serializable          statement, commit, rollback, savepoint s, rollback-to s, restart s
 *     c1: write k v | remove k        lock, check that the row is what the snapshot saw, then put (a statement of UPDATE)
 *     c1: insert k v                  lock, refuse a key that exists, then put
 *     c1: get k | newest k | many k… | scan from to [reverse] | any from to
 *     c1: lock k update [skip|nowait] | table 5 share [nowait] | advisory 1 [share] | unlock 1 | cancel
 *     hold | release | advance 100 | locks | show | gc | versions | drop from to
 */
import { type MemoryEngine, openMemoryEngine } from '../../../storage/engine/memory.ts'
import { rowsOf } from '../../../storage/engine/page.ts'
import type { Key } from '../../../storage/keys/brand.ts'
import { createKeyEncoder } from '../../../storage/keys/encode.ts'
import { rowKeyPrefix, sequenceKey } from '../../../storage/keys/map.ts'
import { printColumns, printKey } from '../../../storage/keys/print.ts'
import type {
  Found,
  Isolation,
  Kv,
  LockStrength,
  Savepoint,
  Span,
  TableLockMode,
  Txn,
  WaitPolicy,
} from '../../../storage/kv/kv.ts'
import { openKv, type Store } from '../../../storage/kv/open-kv.ts'
import { KvError } from '../../../storage/range/errors.ts'
import { openLocalLog } from '../../../storage/range/local-log.ts'
import { type ManualClock, manualClock } from '../../storage/manual-clock.ts'
import type { Command, Runner } from '../golden.ts'

const PREFIX = rowKeyPrefix(5, 16384)
const encoder = createKeyEncoder()

/** The row key of a word. */
export function wordKey(word: string): Key {
  encoder.start(PREFIX)
  encoder.text(word)
  return encoder.finish()
}

const word = (key: Key) => printColumns(key.slice(PREFIX.length))[0]!.slice(1, -1)
const span = (from = '', to = '\u{10ffff}'): Span => ({ from: wordKey(from), to: wordKey(to) })
const text = (found: Found | undefined) => found?.buffer.latin1Slice(found.start, found.end) ?? 'none'

interface Session {
  readonly pid: number
  txn: Txn | undefined
  readonly savepoints: Map<string, Savepoint>
  /** A command that waits. */
  isWaiting: boolean
}

export async function openSessions(): Promise<{ readonly run: Runner; readonly close: () => Promise<void> }> {
  const clock: ManualClock = manualClock()
  const due: (() => void)[] = []
  let isHeld = false
  const engine: MemoryEngine = openMemoryEngine({ schedule: (then) => due.push(then) })
  const opening = openKv(engine, { clock, openLog: openLocalLog(engine) })
  const kv = (await opening) as Store
  const sessions = new Map<string, Session>()
  const later: string[] = []

  const disk = () => {
    if (!isHeld) for (const then of due.splice(0)) then()
  }
  const settle = async () => {
    for (let i = 0; i < 8; i++) {
      disk()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  const session = (name: string): Session => {
    let it = sessions.get(name)
    if (it === undefined) {
      it = { pid: sessions.size + 1, txn: undefined, savepoints: new Map(), isWaiting: false }
      sessions.set(name, it)
    }
    return it
  }

  const run: Runner = async (command) => {
    if (command.prefix === '') {
      const out = await whole(command, { kv, clock, engine, hold: (held) => (isHeld = held) })
      await settle()
      return [out, ...later.splice(0)].filter(Boolean).join('\n')
    }
    const it = session(command.prefix)
    if (it.isWaiting && command.name !== 'cancel') throw new Error(`${command.prefix} waits: it cannot ${command.name}`)
    const label = `${command.prefix}: `
    const begun = { isFirst: true }
    const tell = (answer: string) => {
      const lines = answer.split('\n').map((line) => label + line)
      if (begun.isFirst) later.unshift(...lines)
      else later.push(...lines.map((line) => `${line}   <- ${command.name} ${command.rest}`.trimEnd()))
    }
    if (command.name === 'cancel') {
      kv.cancelWaits(it.pid)
    } else {
      it.isWaiting = true
      perform(kv, it, command)
        .then(tell, (error: unknown) => tell(describe(error)))
        .finally(() => {
          it.isWaiting = false
        })
    }
    await settle()
    if (it.isWaiting && command.name !== 'cancel') later.unshift(`${label}waits`)
    begun.isFirst = false
    return later.splice(0).join('\n')
  }

  const close = async () => {
    isHeld = false
    for (const { txn, isWaiting } of sessions.values()) if (!isWaiting) txn?.rollback()
    const closing = kv.close()
    await settle()
    await closing
  }
  return { run, close }
}

function describe(error: unknown): string {
  if (!(error instanceof KvError)) throw error
  const { reason } = error
  const detail = 'key' in reason ? ` ${printKey(reason.key)}` : 'detail' in reason ? `\n${reason.detail}` : ''
  return `error: ${reason.kind}${detail}`
}

async function perform(kv: Kv, it: Session, { name, words }: Command): Promise<string> {
  const [first = '', second = '', third = ''] = words
  if (name === 'begin') {
    const isolation = (first || 'read-committed') as Isolation
    it.savepoints.clear()
    it.txn = kv.begin({ isolation, readOnly: false, pid: it.pid, lockTimeoutMs: () => Number(second || 0) })
    it.txn.beginStatement()
    return 'ok'
  }
  switch (name) {
    case 'advisory': {
      const answer = await kv.lockSession(
        it.pid,
        `advisory ${first}`,
        second === 'share' ? 'share' : 'exclusive',
        'wait',
        0,
      )
      return answer ? 'ok' : 'skipped'
    }
    case 'try-advisory':
      return String(await kv.lockSession(it.pid, `advisory ${first}`, 'exclusive', 'skip', 0))
    case 'unlock':
      return String(kv.unlockSession(it.pid, `advisory ${first}`, second === 'share' ? 'share' : 'exclusive'))
    case 'nextval': {
      const key = sequenceKey(5, 1)
      const value = (kv.getState(key)?.[0] ?? 0) + 1
      kv.putState(key, Uint8Array.of(value))
      return String(value)
    }
  }
  const { txn } = it
  if (txn === undefined) throw new Error(`no transaction for ${name}`)
  const key = wordKey(first)
  switch (name) {
    case 'statement':
      txn.beginStatement()
      return 'ok'
    case 'get':
      return text(txn.get(key))
    case 'newest':
      return text(txn.getNewest(key))
    case 'many':
      return (
        rowsOf(txn.getMany(words.map(wordKey)))
          .map((row) => `${word(row.key)}=${row.value.latin1Slice()}`)
          .join(' ') || 'none'
      )
    case 'scan': {
      const scanner = txn.scan(span(first || undefined, second || undefined), { reverse: words.includes('reverse') })
      const out: string[] = []
      for (let page = scanner.next(2); page !== undefined; page = scanner.next(2)) {
        out.push(...rowsOf(page).map((row) => `${word(row.key)}=${row.value.latin1Slice()}`))
      }
      scanner.close()
      return out.join(' ') || 'none'
    }
    case 'any':
      return String(txn.anyIn(span(first, second)))
    case 'lock':
      return (await txn.lock(key, second as LockStrength, (third || 'wait') as WaitPolicy)) === false ? 'skipped' : 'ok'
    case 'table':
      await txn.lockTarget(`relation ${first}`, second as TableLockMode, (third || 'wait') as WaitPolicy)
      return 'ok'
    case 'write':
    case 'remove': {
      const waiting = txn.lock(key, 'update', 'wait')
      if (waiting !== undefined) await waiting
      txn.checkUnchanged(key)
      if (name === 'remove') txn.remove(key)
      else txn.put(key, Buffer.from(second))
      return 'ok'
    }
    case 'insert': {
      const waiting = txn.lock(key, 'update', 'wait')
      if (waiting !== undefined) await waiting
      if (txn.getNewest(key) !== undefined) return 'duplicate'
      txn.put(key, Buffer.from(second))
      return 'ok'
    }
    case 'drop':
      kv.scheduleRemoval(txn, span(first, second))
      return 'ok'
    case 'savepoint':
      it.savepoints.set(first, txn.savepoint())
      return 'ok'
    case 'rollback-to':
      txn.rollbackTo(it.savepoints.get(first)!)
      return 'ok'
    case 'restart':
      txn.restartStatement(it.savepoints.get(first)!)
      return 'ok'
    case 'commit':
      it.txn = undefined
      await txn.commit()
      return 'committed'
    case 'rollback':
      it.txn = undefined
      txn.rollback()
      return 'ok'
  }
  throw new Error(`no command ${name}`)
}

interface World {
  readonly kv: Store
  readonly clock: ManualClock
  readonly engine: MemoryEngine
  readonly hold: (held: boolean) => void
}

async function whole({ name, words }: Command, { kv, clock, engine, hold }: World): Promise<string> {
  switch (name) {
    case 'hold':
      hold(true)
      return ''
    case 'release':
      hold(false)
      return ''
    case 'advance':
      clock.advance(Number(words[0]))
      return ''
    case 'locks':
      return (
        kv
          .locks()
          .map(({ pid, target, mode, granted }) => `${pid} ${granted ? 'holds' : 'awaits'} ${mode} on ${target}`)
          .join('\n') || 'none'
      )
    case 'show':
      return kv.print()
    case 'newest':
      return text(kv.get(wordKey(words[0]!)))
    case 'load': {
      const txn = kv.begin({ isolation: 'read-committed', readOnly: false, pid: 0, lockTimeoutMs: () => 0 })
      for (const pair of words) {
        const [k = '', v = ''] = pair.split('/')
        txn.put(wordKey(k), Buffer.from(v))
      }
      txn.commitThen(() => {})
      return ''
    }
    case 'versions': {
      const page = engine.scan({ ...span(), at: Number.MAX_SAFE_INTEGER as never, versions: true }).next(1000)
      return page === undefined
        ? 'none'
        : rowsOf(page)
            .map((row) => `${word(row.key)}=${row.value.latin1Slice() || 'removed'}`)
            .join(' ')
    }
  }
  throw new Error(`no command ${name}`)
}
