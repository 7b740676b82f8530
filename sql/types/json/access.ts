/**
 * Reading JSON: operators and functions that look into a value and take pieces out. The json ones give pieces of the
 * text, the jsonb ones nodes of the tree; both are here side by side because they answer alike.
 * https://www.postgresql.org/docs/15/functions-json.html
 */
import { sqlError } from '../error.ts'
import { type FunctionBody, type FunctionTable, scalar, set } from '../function.ts'
import { divideRounded, pow10, toText } from '../number/numeric.ts'
import { OID } from '../oids.ts'
import { type ArrayValue, type Jsonb, type JsonNode, Numeric, RecordValue } from '../value.ts'
import { concatenate, deleteIndex, deleteKeys, deletePath, insertPath, setPath, stripNulls } from './change.ts'
import {
  compareTrees,
  containsNode,
  isArray,
  isObject,
  isScalar,
  type JsonArray,
  jsonb,
  nodeAsText,
  nodeKind,
  printPretty,
  quoteJson,
} from './node.ts'
import { parseSpans, pathIndex, type Span, spanAsText, spanAt, spanElement, spanField, spanText } from './span.ts'

const refused = (message: string) => sqlError('22023', message)

/** One step into a tree by a path's text. */
function step(node: JsonNode, name: string): JsonNode | undefined {
  if (isObject(node)) return node.get(name)
  if (!isArray(node)) return undefined
  const index = pathIndex(name)
  return index === undefined ? undefined : node.at(index)
}

/** The node at the end of a path; a NULL in the path leads nowhere. */
function nodeAt(node: JsonNode, path: readonly (string | null)[]): JsonNode | undefined {
  let at: JsonNode | undefined = node
  for (const name of path) {
    if (name === null) return undefined
    at = step(at, name)
    if (at === undefined) return undefined
  }
  return at
}

const wrap = (node: JsonNode | undefined): Jsonb | null => (node === undefined ? null : jsonb(node))
const textOf = (node: JsonNode | undefined): string | null => (node === undefined ? null : nodeAsText(node))
/** jsonb treats a bare scalar as an array of one where it counts elements. */
const elementAt = (node: JsonNode, index: number): JsonNode | undefined =>
  isArray(node) ? node.at(index) : isScalar(node) ? ([node] as JsonArray).at(index) : undefined

const steps = (path: ArrayValue): readonly string[] | null =>
  path.elements.includes(null) ? null : (path.elements as readonly string[])

/** A json function: from the text and its spans. */
const onSpans = <A extends (number | string | ArrayValue)[]>(
  find: (span: Span, ...args: A) => Span | undefined,
  take: (text: string, span: Span) => string | null,
): FunctionBody =>
  scalar((text: string, ...args: A) => {
    const found = find(parseSpans(text), ...args)
    return found === undefined ? null : take(text, found)
  })

const spanPath = (span: Span, path: ArrayValue) => {
  const names = steps(path)
  return names === null ? undefined : spanAt(span, names)
}

function spanItems(text: string, name: string): readonly Span[] {
  const span = parseSpans(text)
  if (span.kind === 'array') return span.items
  throw refused(`cannot call ${name} on a ${span.kind === 'object' ? 'non-array' : 'scalar'}`)
}

function treeItems(value: Jsonb): JsonArray {
  if (isArray(value.root)) return value.root
  throw refused(`cannot extract elements from ${isObject(value.root) ? 'an object' : 'a scalar'}`)
}

const PAIR_NAMES = ['key', 'value'] as const
const JSON_PAIR = [OID.text, OID.json]
const JSONB_PAIR = [OID.text, OID.jsonb]
const TEXT_PAIR = [OID.text, OID.text]

function* spanPairs(text: string, asText: boolean): Generator<RecordValue> {
  const span = parseSpans(text)
  if (span.kind === 'array') throw refused('cannot deconstruct an array as an object')
  if (span.kind !== 'object') throw refused('cannot deconstruct a scalar')
  for (let i = 0; i < span.keys.length; i++) {
    const value = span.values[i]!
    const shown = asText ? spanAsText(text, value) : spanText(text, value)
    yield new RecordValue([span.keys[i]!, shown], asText ? TEXT_PAIR : JSON_PAIR, PAIR_NAMES)
  }
}

function* treePairs(value: Jsonb, asText: boolean): Generator<RecordValue> {
  const { root } = value
  if (!isObject(root)) throw refused(`cannot call ${asText ? 'jsonb_each_text' : 'jsonb_each'} on a non-object`)
  for (const [key, node] of root)
    yield new RecordValue([key, asText ? nodeAsText(node) : jsonb(node)], asText ? TEXT_PAIR : JSONB_PAIR, PAIR_NAMES)
}

/** json without its null members, and without spaces. */
function stripSpan(text: string, span: Span): string {
  if (span.kind === 'array') return `[${span.items.map((item) => stripSpan(text, item)).join()}]`
  if (span.kind !== 'object') return spanText(text, span)
  const members: string[] = []
  span.keys.forEach((key, i) => {
    const value = span.values[i]!
    if (value.kind !== 'null') members.push(`${quoteJson(key)}:${stripSpan(text, value)}`)
  })
  return `{${members.join()}}`
}

function hasKey(node: JsonNode, key: string): boolean {
  if (isObject(node)) return node.has(key)
  return isArray(node) ? node.includes(key) : node === key
}

const LAX_TREATMENTS = '"delete_key", "return_target", "use_json_null", or "raise_exception"'

function setLax(
  target: Jsonb | null,
  path: ArrayValue | null,
  value: Jsonb | null,
  create: boolean | null,
  treatment: string | null,
): Jsonb | null {
  if (target === null || path === null || create === null) return null
  if (value !== null) return setPath(target, path, value, create)
  switch (treatment) {
    case 'raise_exception':
      throw sqlError('22004', 'JSON value must not be null', {
        detail: 'Exception was raised because null_value_treatment is "raise_exception".',
        hint: 'To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.',
      })
    case 'use_json_null':
      return setPath(target, path, jsonb(null), create)
    case 'delete_key':
      return deletePath(target, path)
    case 'return_target':
      return target
    default:
      throw refused(`null_value_treatment must be ${LAX_TREATMENTS}`)
  }
}

const wrongCast = (node: JsonNode, target: string) => refused(`cannot cast jsonb ${castName(node)} to type ${target}`)
const castName = (node: JsonNode) => (typeof node === 'string' ? 'string' : nodeKind(node).replace('number', 'numeric'))

const numberCast = (target: string, convert: (n: Numeric) => Numeric | number | bigint): FunctionBody =>
  scalar((value: Jsonb) => {
    if (!(value.root instanceof Numeric)) throw wrongCast(value.root, target)
    return convert(value.root)
  })

const wholeNumber =
  (bits: number, name: string) =>
  (n: Numeric): number | bigint => {
    const whole = n.scale === 0 ? n.digits : divideRounded(n.digits, pow10(n.scale))
    if (BigInt.asIntN(bits, whole) !== whole) throw sqlError('22003', `${name} out of range`)
    const number = Number(whole)
    return Number.isSafeInteger(number) ? number : whole
  }

const floating =
  (name: string, fit: (n: number) => number) =>
  (n: Numeric): number => {
    const text = toText(n)
    const number = fit(Number(text))
    // Numbers beyond the type are errors, both the too large and the ones that would vanish.
    if (!Number.isFinite(number) || (number === 0 && n.digits !== 0n))
      throw sqlError('22003', `"${text}" is out of range for type ${name}`)
    return number === 0 ? 0 : number
  }

const order = (test: (order: number) => boolean): FunctionBody =>
  scalar((a: Jsonb, b: Jsonb) => test(compareTrees(a.root, b.root)))

export const ACCESS_FUNCTIONS: FunctionTable = {
  json_object_field: onSpans(spanField, spanText),
  json_object_field_text: onSpans(spanField, spanAsText),
  json_array_element: onSpans(spanElement, spanText),
  json_array_element_text: onSpans(spanElement, spanAsText),
  json_extract_path: onSpans(spanPath, spanText),
  json_extract_path_text: onSpans(spanPath, spanAsText),
  jsonb_object_field: scalar((value: Jsonb, name: string) =>
    wrap(isObject(value.root) ? value.root.get(name) : undefined),
  ),
  jsonb_object_field_text: scalar((value: Jsonb, name: string) =>
    textOf(isObject(value.root) ? value.root.get(name) : undefined),
  ),
  jsonb_array_element: scalar((value: Jsonb, index: number) => wrap(elementAt(value.root, index))),
  jsonb_array_element_text: scalar((value: Jsonb, index: number) => textOf(elementAt(value.root, index))),
  jsonb_extract_path: scalar((value: Jsonb, path: ArrayValue) => wrap(nodeAt(value.root, path.elements as string[]))),
  jsonb_extract_path_text: scalar((value: Jsonb, path: ArrayValue) =>
    textOf(nodeAt(value.root, path.elements as string[])),
  ),

  json_array_length: scalar((text: string) => {
    const span = parseSpans(text)
    if (span.kind === 'array') return span.items.length
    throw refused(`cannot get array length of a ${span.kind === 'object' ? 'non-array' : 'scalar'}`)
  }),
  jsonb_array_length: scalar((value: Jsonb) => {
    if (isArray(value.root)) return value.root.length
    throw refused(`cannot get array length of a ${isObject(value.root) ? 'non-array' : 'scalar'}`)
  }),
  json_typeof: scalar((text: string) => parseSpans(text).kind),
  jsonb_typeof: scalar((value: Jsonb) => nodeKind(value.root)),
  json_strip_nulls: scalar((text: string) => stripSpan(text, parseSpans(text))),
  jsonb_strip_nulls: scalar((value: Jsonb) => jsonb(stripNulls(value.root))),
  jsonb_pretty: scalar((value: Jsonb) => printPretty(value.root)),

  json_object_keys: set<[string]>(() => (text) => {
    const span = parseSpans(text)
    if (span.kind === 'object') return span.keys
    throw refused(`cannot call json_object_keys on ${span.kind === 'array' ? 'an array' : 'a scalar'}`)
  }),
  jsonb_object_keys: set<[Jsonb]>(() => ({ root }) => {
    if (isObject(root)) return root.keys()
    throw refused(`cannot call jsonb_object_keys on ${isArray(root) ? 'an array' : 'a scalar'}`)
  }),
  json_each: set<[string]>(() => (text) => spanPairs(text, false)),
  json_each_text: set<[string]>(() => (text) => spanPairs(text, true)),
  jsonb_each: set<[Jsonb]>(() => (value) => treePairs(value, false)),
  jsonb_each_text: set<[Jsonb]>(() => (value) => treePairs(value, true)),
  json_array_elements: set<[string]>(
    () => (text) => spanItems(text, 'json_array_elements').map((item) => spanText(text, item)),
  ),
  json_array_elements_text: set<[string]>(
    () => (text) => spanItems(text, 'json_array_elements_text').map((item) => spanAsText(text, item)),
  ),
  jsonb_array_elements: set<[Jsonb]>(() => (value) => treeItems(value).map(jsonb)),
  jsonb_array_elements_text: set<[Jsonb]>(() => (value) => treeItems(value).map(nodeAsText)),

  jsonb_contains: scalar((a: Jsonb, b: Jsonb) => containsNode(a.root, b.root)),
  jsonb_contained: scalar((a: Jsonb, b: Jsonb) => containsNode(b.root, a.root)),
  jsonb_exists: scalar((value: Jsonb, key: string) => hasKey(value.root, key)),
  jsonb_exists_any: scalar((value: Jsonb, keys: ArrayValue) =>
    keys.elements.some((key) => key !== null && hasKey(value.root, key as string)),
  ),
  jsonb_exists_all: scalar((value: Jsonb, keys: ArrayValue) =>
    keys.elements.every((key) => key === null || hasKey(value.root, key as string)),
  ),
  jsonb_concat: scalar(concatenate),
  jsonb_delete: scalar((value: Jsonb, key: string) => deleteKeys(value, [key])),
  jsonb_delete_array: scalar((value: Jsonb, keys: ArrayValue) => {
    if (keys.dimensions.length > 1) throw sqlError('2202E', 'wrong number of array subscripts')
    return deleteKeys(value, keys.elements.filter((key) => key !== null) as string[])
  }),
  jsonb_delete_idx: scalar(deleteIndex),
  jsonb_delete_path: scalar(deletePath),
  jsonb_set: scalar(setPath),
  jsonb_set_lax: scalar(setLax),
  jsonb_insert: scalar(insertPath),

  jsonb_eq: order((n) => n === 0),
  jsonb_ne: order((n) => n !== 0),
  jsonb_lt: order((n) => n < 0),
  jsonb_le: order((n) => n <= 0),
  jsonb_gt: order((n) => n > 0),
  jsonb_ge: order((n) => n >= 0),
  jsonb_cmp: scalar((a: Jsonb, b: Jsonb) => Math.sign(compareTrees(a.root, b.root))),

  jsonb_bool: scalar(({ root }: Jsonb) => {
    if (typeof root !== 'boolean') throw wrongCast(root, 'boolean')
    return root
  }),
  jsonb_numeric: numberCast('numeric', (n) => n),
  jsonb_int2: numberCast('smallint', wholeNumber(16, 'smallint')),
  jsonb_int4: numberCast('integer', wholeNumber(32, 'integer')),
  jsonb_int8: numberCast('bigint', wholeNumber(64, 'bigint')),
  jsonb_float4: numberCast('real', floating('real', Math.fround)),
  jsonb_float8: numberCast(
    'double precision',
    floating('double precision', (n) => n),
  ),
}
