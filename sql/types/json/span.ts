/**
 * A JSON text with its structure laid over it: every value knows where it stands, so that `json -> 'a'` gives the text
 * between two offsets, spaces, duplicates, number spelling and all.
 */
import { type Builder, parseJson } from './parse.ts'

export type Span =
  | { readonly kind: 'string'; readonly start: number; readonly end: number; readonly value: string }
  | { readonly kind: 'number' | 'boolean' | 'null'; readonly start: number; readonly end: number }
  | { readonly kind: 'array'; readonly start: number; readonly end: number; readonly items: readonly Span[] }
  | {
      readonly kind: 'object'
      readonly start: number
      readonly end: number
      readonly keys: readonly string[]
      readonly values: readonly Span[]
    }

const SPANS: Builder<Span> = {
  decode: true,
  string: (value, start, end) => ({ kind: 'string', start, end, value }),
  number: (_, start, end) => ({ kind: 'number', start, end }),
  literal: (value, start, end) => ({ kind: value === null ? 'null' : 'boolean', start, end }),
  array: (items, start, end) => ({ kind: 'array', start, end, items }),
  object: (keys, values, start, end) => ({ kind: 'object', start, end, keys, values }),
}

export const parseSpans = (text: string): Span => parseJson(text, SPANS)

/** The value as json. */
export const spanText = (text: string, span: Span): string => text.slice(span.start, span.end)
/** The value as text: a string without its quotes, null as NULL. */
export const spanAsText = (text: string, span: Span): string | null =>
  span.kind === 'null' ? null : span.kind === 'string' ? span.value : text.slice(span.start, span.end)

export function spanField(span: Span, name: string): Span | undefined {
  if (span.kind !== 'object') return undefined
  const at = span.keys.lastIndexOf(name)
  return at < 0 ? undefined : span.values[at]
}

/** Counts from the end when negative. */
export function spanElement(span: Span, index: number): Span | undefined {
  return span.kind === 'array' ? span.items.at(index) : undefined
}

/** A path's step as an array index: digits only, within int4; undefined when it is none. */
export function pathIndex(step: string): number | undefined {
  if (!/^\s*[+-]?\d+$/.test(step)) return undefined
  const index = Number(step)
  return index >= -0x8000_0000 && index <= 0x7fff_ffff ? index : undefined
}

export function spanAt(span: Span, path: readonly string[]): Span | undefined {
  let at: Span | undefined = span
  for (const step of path) {
    if (at.kind === 'object') {
      at = spanField(at, step)
    } else {
      const index = at.kind === 'array' ? pathIndex(step) : undefined
      at = index === undefined ? undefined : spanElement(at, index)
    }
    if (at === undefined) return undefined
  }
  return at
}
