/**
 * What a SERIALIZABLE transaction has read: keys, and the parts of spans that its scans have walked. At commit every one
 * of them must be as it was at the snapshot. Many keys are folded into spans, which may only make it answer "changed"
 * more often.
 */
import type { Page, Scanner } from '../engine/engine.ts'
import { nextRow, rowKey } from '../engine/page.ts'
import type { Key } from '../keys/brand.ts'
import { successor } from '../keys/map.ts'

const KEYS_MAX = 16_384
/** Folding leaves so many spans. */
const FOLDED_SPANS = 1024

export interface ReadSpan {
  from: Key
  /** Exclusive. */
  to: Key
}

export class Reads {
  #keys = new Set<Key>()
  readonly spans: ReadSpan[] = []

  get keys(): ReadonlySet<Key> {
    return this.#keys
  }

  add(key: Key): void {
    this.#keys.add(key)
    if (this.#keys.size > KEYS_MAX) this.#fold()
  }

  addSpan(from: Key, to: Key): void {
    if (from < to) this.spans.push({ from, to })
  }

  /** The scanner's walk is recorded as far as it goes. */
  watch(scanner: Scanner, from: Key, to: Key, reverse: boolean): Scanner {
    const span: ReadSpan = reverse ? { from: to, to } : { from, to: from }
    this.spans.push(span)
    return {
      next(rows) {
        const page = scanner.next(rows)
        if (page === undefined) {
          span.from = from
          span.to = to
        } else if (reverse) {
          span.from = lastKey(page)
        } else {
          span.to = successor(lastKey(page))
        }
        return page
      },
      close: () => scanner.close(),
    }
  }

  /** Neighbouring keys become spans. */
  #fold(): void {
    const sorted = [...this.#keys].sort()
    const step = Math.ceil(sorted.length / FOLDED_SPANS)
    for (let i = 0; i < sorted.length; i += step) {
      this.addSpan(sorted[i]!, successor(sorted[Math.min(i + step, sorted.length) - 1]!))
    }
    this.#keys = new Set()
  }
}

function lastKey(page: Page): Key {
  let at = 0
  for (let next = nextRow(page.buffer, 0); next < page.bytes; next = nextRow(page.buffer, next)) at = next
  return rowKey(page.buffer, at)
}
