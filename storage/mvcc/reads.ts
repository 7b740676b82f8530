/**
 * What a SERIALIZABLE transaction has read: keys, and the parts of spans that its scans have walked. At commit every one
 * of them must be as it was at the snapshot. When there are many they are folded into fewer, wider spans, which may only
 * make it answer "changed" more often.
 */
import type { Page, Scanner } from '../engine/engine.ts'
import { nextRow, rowKey } from '../engine/page.ts'
import type { Key } from '../keys/brand.ts'
import { successor } from '../keys/map.ts'

/** Keys, and spans, that are kept one by one; folding leaves FOLDED_SPANS. */
const KEYS_MAX = 16_384
const SPANS_MAX = 4096
const FOLDED_SPANS = 1024

export interface ReadSpan {
  from: Key
  /** Exclusive. */
  to: Key
  /** Its scan goes on: it may still grow. */
  isOpen: boolean
}

export class Reads {
  #keys = new Set<Key>()
  #spans: ReadSpan[] = []
  #foldAt = SPANS_MAX

  get keys(): ReadonlySet<Key> {
    return this.#keys
  }

  get spans(): readonly ReadSpan[] {
    return this.#spans
  }

  add(key: Key): void {
    this.#keys.add(key)
    if (this.#keys.size <= KEYS_MAX) return
    for (const it of this.#keys) this.#spans.push({ from: it, to: successor(it), isOpen: false })
    this.#keys = new Set()
    this.#fold()
  }

  addSpan(from: Key, to: Key): void {
    const last = this.#spans.at(-1)
    if (last !== undefined && !last.isOpen && last.from === from && last.to === to) return
    this.#spans.push({ from, to, isOpen: false })
    if (this.#spans.length > this.#foldAt) this.#fold()
  }

  /** The scanner's walk is recorded as far as it goes. */
  watch(scanner: Scanner, from: Key, to: Key, reverse: boolean): Scanner {
    const span: ReadSpan = reverse ? { from: to, to, isOpen: true } : { from, to: from, isOpen: true }
    this.#spans.push(span)
    if (this.#spans.length > this.#foldAt) this.#fold()
    return {
      next(rows) {
        const page = scanner.next(rows)
        if (page === undefined) {
          if (span.isOpen) {
            span.from = from
            span.to = to
            span.isOpen = false
          }
        } else if (reverse) {
          span.from = lastKey(page)
        } else {
          span.to = successor(lastKey(page))
        }
        return page
      },
      close() {
        span.isOpen = false
        scanner.close()
      },
    }
  }

  /** Joins what overlaps, and then neighbours, until few are left. Spans of open scans stay as they are. */
  #fold(): void {
    const open = this.#spans.filter((span) => span.isOpen)
    const closed = this.#spans.filter((span) => !span.isOpen && span.from < span.to)
    closed.sort((a, b) => (a.from < b.from ? -1 : 1))
    const apart: ReadSpan[] = []
    for (const span of closed) {
      const last = apart.at(-1)
      if (last === undefined || last.to < span.from) apart.push(span)
      else if (last.to < span.to) last.to = span.to
    }
    const step = Math.ceil(apart.length / FOLDED_SPANS)
    const folded: ReadSpan[] = []
    for (let i = 0; i < apart.length; i += step) {
      folded.push({ from: apart[i]!.from, to: apart[Math.min(i + step, apart.length) - 1]!.to, isOpen: false })
    }
    this.#spans = [...open, ...folded]
    this.#foldAt = SPANS_MAX + this.#spans.length
  }
}

function lastKey(page: Page): Key {
  let at = 0
  for (let next = nextRow(page.buffer, 0); next < page.bytes; next = nextRow(page.buffer, next)) at = next
  return rowKey(page.buffer, at)
}
