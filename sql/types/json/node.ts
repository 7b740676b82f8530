/**
 * jsonb's tree: how it is made from text, printed, ordered, hashed, and asked what it contains. An object's keys stand
 * in jsonb's order, by length in bytes and then by bytes; of equal keys the last one counts.
 *
 *     order   object > array > boolean > number > string > null; more members > fewer; then member by member
 *             (an empty array as the whole value is least of all: PostgreSQL keeps that oddity, so it is kept here)
 */
import {
  compare as compareNumbers,
  hashKey as hashNumber,
  parseDecimal,
  toText as printNumber,
} from '../number/numeric.ts'
import { compareText } from '../text/chars.ts'
import type { KeyEncoder } from '../type.ts'
import { Jsonb, type JsonNode, Numeric } from '../value.ts'
import { type Builder, parseJson } from './parse.ts'

export type JsonObject = ReadonlyMap<string, JsonNode>
export type JsonArray = readonly JsonNode[]

export const isObject = (node: JsonNode): node is JsonObject => node instanceof Map
export const isArray = (node: JsonNode): node is JsonArray => Array.isArray(node)
export const isScalar = (node: JsonNode): node is null | boolean | string | Numeric => !isArray(node) && !isObject(node)

function byteLength(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 128) return Buffer.byteLength(text)
  return text.length
}

/** The order of keys inside an object. */
const compareKeys = (a: string, b: string): number => byteLength(a) - byteLength(b) || compareText(a, b)

/** An object from its pairs in the order they came. */
export function makeObject(pairs: readonly (readonly [string, JsonNode])[]): JsonObject {
  let sorted = true
  for (let i = 1; i < pairs.length && sorted; i++) sorted = compareKeys(pairs[i - 1]![0], pairs[i]![0]) < 0
  if (sorted) return new Map(pairs)
  const last = new Map(pairs)
  return new Map([...last].sort((a, b) => compareKeys(a[0], b[0])))
}

const TREE: Builder<JsonNode> = {
  decode: true,
  string: (value) => value,
  number: (text) => parseDecimal(text)!,
  literal: (value) => value,
  array: (items) => items,
  object: (keys, values) => makeObject(keys.map((key, i) => [key, values[i]!] as const)),
}

/** JSON text to jsonb's tree. Throws as `parseJson`, 22003 for numbers beyond numeric. */
export const parseTree = (text: string): JsonNode => parseJson(text, TREE)

const NEEDS_ESCAPE = /["\\\u0000-\u001f]/
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** A JSON string literal as PostgreSQL writes it. */
export function quoteJson(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  const escaped = text.replace(
    /["\\\u0000-\u001f]/g,
    (c) => SHORT[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `"${escaped}"`
}

function printScalar(node: null | boolean | string | Numeric): string {
  if (node === null) return 'null'
  if (typeof node === 'string') return quoteJson(node)
  return node instanceof Numeric ? printNumber(node) : String(node)
}

/** `{"a": 1, "b": [2, 3]}`. */
export function printNode(node: JsonNode): string {
  if (isArray(node)) {
    let text = '['
    for (let i = 0; i < node.length; i++) text += (i > 0 ? ', ' : '') + printNode(node[i]!)
    return `${text}]`
  }
  if (isObject(node)) {
    let text = '{'
    for (const [key, value] of node) text += `${text.length > 1 ? ', ' : ''}${quoteJson(key)}: ${printNode(value)}`
    return `${text}}`
  }
  return printScalar(node)
}

/** jsonb_pretty: four spaces a level. */
export function printPretty(node: JsonNode, indent = ''): string {
  if (isScalar(node)) return printScalar(node)
  const inner = `${indent}    `
  const members: string[] = []
  if (isArray(node)) for (const item of node) members.push(inner + printPretty(item, inner))
  else for (const [key, value] of node) members.push(`${inner}${quoteJson(key)}: ${printPretty(value, inner)}`)
  const [open, close] = isArray(node) ? '[]' : '{}'
  return `${open}\n${members.join(',\n')}${members.length > 0 ? '\n' : ''}${indent}${close}`
}

/** As `->>` gives it: strings bare, null as NULL, the rest as JSON. */
export const nodeAsText = (node: JsonNode): string | null =>
  node === null ? null : typeof node === 'string' ? node : printNode(node)

const rank = (node: JsonNode): number => {
  if (node === null) return 0
  if (typeof node === 'string') return 1
  if (node instanceof Numeric) return 2
  if (typeof node === 'boolean') return 3
  return isArray(node) ? 4 : 5
}

function compareNodes(a: JsonNode, b: JsonNode): number {
  const kind = rank(a)
  const other = rank(b)
  if (kind !== other) return kind < other ? -1 : 1
  if (typeof a === 'string') return compareText(a, b as string)
  if (a instanceof Numeric) return compareNumbers(a, b as Numeric)
  if (typeof a === 'boolean') return a === b ? 0 : a ? 1 : -1
  if (a === null) return 0
  if (isArray(a)) {
    const right = b as JsonArray
    if (a.length !== right.length) return a.length < right.length ? -1 : 1
    for (let i = 0; i < a.length; i++) {
      const order = compareNodes(a[i]!, right[i]!)
      if (order !== 0) return order
    }
    return 0
  }
  const left = a as JsonObject
  const right = b as JsonObject
  if (left.size !== right.size) return left.size < right.size ? -1 : 1
  const others = right.entries()
  for (const [key, value] of left) {
    const [otherKey, otherValue] = others.next().value!
    const order = compareText(key, otherKey) || compareNodes(value, otherValue)
    if (order !== 0) return order
  }
  return 0
}

const isEmptyArray = (node: JsonNode) => isArray(node) && node.length === 0

/** jsonb's b-tree order of whole values. */
export function compareTrees(a: JsonNode, b: JsonNode): number {
  const left = isEmptyArray(a)
  const right = isEmptyArray(b)
  if (left || right) return left === right ? 0 : left ? -1 : 1
  return compareNodes(a, b)
}

const equalNodes = (a: JsonNode, b: JsonNode): boolean => compareNodes(a, b) === 0

/** The same text for equal values. */
export function hashNode(node: JsonNode): string {
  if (node instanceof Numeric) return String(hashNumber(node))
  if (isArray(node)) {
    let text = '['
    for (const item of node) text += `${hashNode(item)},`
    return `${text}]`
  }
  if (isObject(node)) {
    let text = '{'
    for (const [key, value] of node) text += `${quoteJson(key)}:${hashNode(value)},`
    return `${text}}`
  }
  return printScalar(node)
}

const KEY_EMPTY_ARRAY = 1
const KEY_RANK = 2

function encodeNode(node: JsonNode, to: KeyEncoder): void {
  to.byte(KEY_RANK + rank(node))
  if (typeof node === 'string') to.text(node)
  else if (node instanceof Numeric) to.decimal(node.digits, node.scale, node.special)
  else if (typeof node === 'boolean') to.boolean(node)
  else if (isArray(node)) {
    to.uint32(node.length)
    for (const item of node) encodeNode(item, to)
  } else if (isObject(node)) {
    to.uint32(node.size)
    for (const [key, value] of node) {
      to.text(key)
      encodeNode(value, to)
    }
  }
}

/** Bytes in the order of `compareTrees`. */
export function encodeTree(node: JsonNode, to: KeyEncoder): void {
  if (isEmptyArray(node)) to.byte(KEY_EMPTY_ARRAY)
  else encodeNode(node, to)
}

/** `outer @> inner`: every member of `inner` is found in `outer`, whatever the order and the repetition. */
export function containsNode(outer: JsonNode, inner: JsonNode): boolean {
  // An array contains a bare scalar; that is so for whole values only.
  if (isArray(outer) && isScalar(inner)) return outer.some((item) => isScalar(item) && equalNodes(item, inner))
  return containsNested(outer, inner)
}

function containsNested(outer: JsonNode, inner: JsonNode): boolean {
  if (isObject(outer)) {
    if (!isObject(inner) || outer.size < inner.size) return false
    for (const [key, value] of inner) {
      const found = outer.get(key)
      if (found === undefined || !containsNested(found, value)) return false
    }
    return true
  }
  if (isArray(outer)) {
    if (!isArray(inner)) return false
    for (const wanted of inner) if (!containsItem(outer, wanted)) return false
    return true
  }
  return isScalar(inner) && equalNodes(outer, inner)
}

function containsItem(outer: JsonArray, wanted: JsonNode): boolean {
  const scalar = isScalar(wanted)
  for (const item of outer)
    if (isScalar(item) === scalar && (scalar ? equalNodes(item, wanted) : containsNested(item, wanted))) return true
  return false
}

export const jsonb = (root: JsonNode): Jsonb => new Jsonb(root)

/** 'object', 'array', 'string', 'number', 'boolean', 'null'. */
export const nodeKind = (node: JsonNode): string =>
  (['null', 'string', 'number', 'boolean', 'array', 'object'] as const)[rank(node)]!
