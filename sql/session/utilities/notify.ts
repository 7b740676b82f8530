/**
 * LISTEN, NOTIFY, UNLISTEN (PostgreSQL 15 manual, SQL commands). All three take effect at commit: a rolled-back NOTIFY is
 * never heard, equal notifications of one transaction are heard once, in the order they were first sent.
 *
 *     NOTIFY → pending of the transaction ──commit──► every listening session of the database: at once when it is idle,
 *                                                     else when its statement ends and it is outside of a transaction
 */
import { sqlError } from '../../types/error.ts'
import type { Backend } from '../backend.ts'
import type { Marked } from '../transaction.ts'
import { define } from '../utility.ts'

interface Notification {
  readonly pid: number
  readonly channel: string
  readonly payload: string
}
type Change =
  | { readonly kind: 'listen' | 'unlisten'; readonly channel: string }
  | { readonly kind: 'unlisten-all' }
  | { readonly kind: 'notify'; readonly notification: Notification }

const PAYLOAD_BYTES = 8000 // shorter than this, as NOTIFY_PAYLOAD_MAX_LENGTH
const NAME_BYTES = 64

/** One session's channels and what its transaction will do. */
class Notifications implements Marked {
  readonly channels = new Set<string>()
  #changes: Change[] = []
  #hooked = false
  readonly #session: Backend

  constructor(session: Backend) {
    this.#session = session
    session.transaction.marked.push(this)
  }

  mark(): number {
    return this.#changes.length
  }
  undoTo(mark: number): void {
    // The end of a transaction undoes to 0 before it tells its hooks: they have taken the changes by then, or drop them.
    if (mark > 0) this.#changes.length = Math.min(mark, this.#changes.length)
    else if (this.#session.transaction.block !== 'idle') this.#changes = []
  }

  add(change: Change): void {
    if (change.kind === 'notify') {
      const { channel, payload } = change.notification
      if (
        this.#changes.some(
          (each) =>
            each.kind === 'notify' && each.notification.channel === channel && each.notification.payload === payload,
        )
      )
        return
    }
    this.#changes.push(change)
    if (this.#hooked) return
    this.#hooked = true
    this.#session.hooks.ended.push((committed) => {
      const changes = this.#changes
      this.#changes = []
      this.#hooked = false
      if (committed) for (const each of changes) this.#apply(each)
    })
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'listen':
        this.channels.add(change.channel)
        return
      case 'unlisten':
        this.channels.delete(change.channel)
        return
      case 'unlisten-all':
        this.channels.clear()
        return
      case 'notify':
        for (const backend of this.#session.server.backends.values()) {
          if (
            backend.databaseOid === this.#session.databaseOid &&
            listening.get(backend)?.channels.has(change.notification.channel)
          )
            deliver(backend, change.notification)
        }
    }
  }
}

const listening = new WeakMap<Backend, Notifications>()
function notificationsOf(session: Backend): Notifications {
  let found = listening.get(session)
  if (found === undefined) {
    listening.set(session, (found = new Notifications(session)))
    const made = found
    session.onDiscard.push(() => made.channels.clear())
  }
  return found
}

const waiting = new WeakMap<Backend, Notification[]>()

function deliver(backend: Backend, notification: Notification): void {
  const queue = waiting.get(backend)
  if (queue !== undefined) queue.push(notification)
  else waiting.set(backend, [notification])
  backend.whenIdle((sink) => {
    const ready = waiting.get(backend) ?? []
    waiting.delete(backend)
    for (const each of ready) sink?.notification(each.pid, each.channel, each.payload)
  })
}

const bytesOf = (text: string): number => Buffer.byteLength(text)

/** NOTIFY and pg_notify. */
export function notify(session: Backend, channel: string, payload: string): void {
  if (channel === '') throw sqlError('22023', 'channel name cannot be empty')
  if (bytesOf(channel) >= NAME_BYTES) throw sqlError('22023', 'channel name too long')
  if (bytesOf(payload) >= PAYLOAD_BYTES) throw sqlError('22023', 'payload string too long')
  notificationsOf(session).add({ kind: 'notify', notification: { pid: session.pid, channel, payload } })
}

export const channelsOf = (session: Backend): Iterable<string> => listening.get(session)?.channels ?? []

export function registerNotify(): void {
  define('NotifyStmt', (session, node) => {
    notify(session, node.conditionname!, node.payload ?? '')
    return 'NOTIFY'
  })
  define('ListenStmt', (session, node) => {
    notificationsOf(session).add({ kind: 'listen', channel: node.conditionname! })
    return 'LISTEN'
  })
  define('UnlistenStmt', (session, node) => {
    const channel = node.conditionname ?? ''
    notificationsOf(session).add(channel === '' ? { kind: 'unlisten-all' } : { kind: 'unlisten', channel })
    return 'UNLISTEN'
  })
}
