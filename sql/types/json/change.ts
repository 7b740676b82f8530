/**
 * Changing a jsonb tree: `||`, `-`, `#-`, jsonb_set, jsonb_insert, and the assignments `j['a'][0] = …`. Trees are shared
 * and never altered: what lies on the path is copied, the rest is the same nodes.
 * https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING-TABLE
 */
import { sqlError } from '../error.ts'
import type { ArrayValue, Jsonb, JsonNode } from '../value.ts'
import { isArray, isObject, isScalar, type JsonArray, type JsonObject, jsonb, makeObject } from './node.ts'
import { pathIndex } from './span.ts'

/** What is done at the end of a path. */
interface Change {
  readonly op: 'delete' | 'replace' | 'create' | 'insert-before' | 'insert-after'
  /** Assignment by subscripts: a missing way is built, positions are kept, scalars on the way are an error. */
  readonly building: boolean
  readonly path: readonly (string | null)[]
  readonly value: JsonNode
}

const creates = (change: Change) => change.op !== 'delete' && change.op !== 'replace'

const replacesScalar = () =>
  sqlError('22023', 'cannot replace existing key', {
    detail: 'The path assumes key is a composite object, but it is a scalar value.',
  })

function changed(node: JsonNode, change: Change, level: number): JsonNode {
  if (isScalar(node)) {
    if (change.building) throw replacesScalar()
    return node
  }
  const step = change.path[level]
  if (step === null || step === undefined) throw sqlError('22004', `path element at position ${level + 1} is null`)
  return isArray(node)
    ? changedArray(node, change, level, step)
    : changedObject(node as JsonObject, change, level, step)
}

/** The arrays and objects that the rest of the path asks for, with the value at their end. */
function built(change: Change, level: number): JsonNode {
  const step = change.path[level]
  if (step === undefined || step === null) return change.value
  const inner = built(change, level + 1)
  const index = pathIndex(step)
  if (index === undefined) return new Map([[step, inner]])
  return [...nulls(index), inner]
}

const nulls = (count: number): null[] => new Array<null>(Math.max(0, count)).fill(null)

function changedObject(object: JsonObject, change: Change, level: number, step: string): JsonNode {
  const last = level === change.path.length - 1
  const found = object.get(step)
  if (found === undefined) {
    if (last && creates(change)) return makeObject([...object, [step, change.value]])
    if (!last && change.building) return makeObject([...object, [step, built(change, level + 1)]])
    return object
  }
  if (!last) return new Map(object).set(step, changed(found, change, level + 1))
  if (change.op === 'insert-before' || change.op === 'insert-after')
    throw sqlError('22023', 'cannot replace existing key', {
      hint: 'Try using the function jsonb_set to replace key value.',
    })
  const copy = new Map(object)
  if (change.op === 'delete') copy.delete(step)
  else copy.set(step, change.value)
  return copy
}

function changedArray(array: JsonArray, change: Change, level: number, step: string): JsonNode {
  const last = level === change.path.length - 1
  let index = pathIndex(step)
  if (index === undefined) throw sqlError('22P02', `path element at position ${level + 1} is not an integer: "${step}"`)
  if (index < 0) {
    if (-index > array.length && change.building)
      throw sqlError('22023', `path element at position ${level + 1} is out of range: ${index}`)
    index = -index > array.length ? -1 : array.length + index
  }
  if (index >= 0 && index < array.length) {
    const item = array[index]!
    if (!last) return array.with(index, changed(item, change, level + 1))
    const replacement: Readonly<Record<Change['op'], readonly JsonNode[]>> = {
      delete: [],
      replace: [change.value],
      create: [change.value],
      'insert-before': [change.value, item],
      'insert-after': [item, change.value],
    }
    return array.toSpliced(index, 1, ...replacement[change.op])
  }
  if (last) {
    if (!creates(change)) return array
    if (index < 0) return [change.value, ...array]
    return [...array, ...(change.building ? nulls(index - array.length) : []), change.value]
  }
  if (!change.building) return array
  return [...array, ...nulls(index - array.length), built(change, level + 1)]
}

const pathSteps = (path: ArrayValue): readonly (string | null)[] => {
  if (path.dimensions.length > 1) throw sqlError('2202E', 'wrong number of array subscripts')
  return path.elements as readonly (string | null)[]
}

const isEmpty = (node: JsonNode) => (isArray(node) ? node.length : (node as JsonObject).size) === 0

export function setPath(target: Jsonb, path: ArrayValue, value: Jsonb, create: boolean): Jsonb {
  const steps = pathSteps(path)
  if (isScalar(target.root)) throw sqlError('22023', 'cannot set path in scalar')
  if ((isEmpty(target.root) && !create) || steps.length === 0) return target
  const op = create ? 'create' : 'replace'
  return jsonb(changed(target.root, { op, building: false, path: steps, value: value.root }, 0))
}

export function insertPath(target: Jsonb, path: ArrayValue, value: Jsonb, after: boolean): Jsonb {
  const steps = pathSteps(path)
  if (isScalar(target.root)) throw sqlError('22023', 'cannot set path in scalar')
  if (steps.length === 0) return target
  const op = after ? 'insert-after' : 'insert-before'
  return jsonb(changed(target.root, { op, building: false, path: steps, value: value.root }, 0))
}

export function deletePath(target: Jsonb, path: ArrayValue): Jsonb {
  const steps = pathSteps(path)
  if (isScalar(target.root)) throw sqlError('22023', 'cannot delete path in scalar')
  if (isEmpty(target.root) || steps.length === 0) return target
  return jsonb(changed(target.root, { op: 'delete', building: false, path: steps, value: null }, 0))
}

/** `j - 'key'`: the member of that name, or the strings equal to it. */
export function deleteKeys(target: Jsonb, keys: readonly string[]): Jsonb {
  const { root } = target
  if (isScalar(root)) throw sqlError('22023', 'cannot delete from scalar')
  const gone = new Set(keys)
  if (isArray(root)) return jsonb(root.filter((item) => typeof item !== 'string' || !gone.has(item)))
  const copy = new Map(root as JsonObject)
  for (const key of gone) copy.delete(key)
  return jsonb(copy)
}

export function deleteIndex(target: Jsonb, index: number): Jsonb {
  const { root } = target
  if (isScalar(root)) throw sqlError('22023', 'cannot delete from scalar')
  if (isObject(root)) throw sqlError('22023', 'cannot delete from object using integer index')
  const array = root as JsonArray
  const at = index < 0 ? array.length + index : index
  return at < 0 || at >= array.length ? target : jsonb(array.toSpliced(at, 1))
}

/** `a || b`: objects merge (the right one wins), all else becomes one array. */
export function concatenate(a: Jsonb, b: Jsonb): Jsonb {
  const left = a.root
  const right = b.root
  if (isObject(left) && isObject(right)) {
    if (left.size === 0) return b
    return right.size === 0 ? a : jsonb(makeObject([...left, ...right]))
  }
  return jsonb([...(isArray(left) ? left : [left]), ...(isArray(right) ? right : [right])])
}

export function stripNulls(node: JsonNode): JsonNode {
  if (isArray(node)) return node.map(stripNulls)
  if (!isObject(node)) return node
  const kept = new Map<string, JsonNode>()
  for (const [key, value] of node) if (value !== null) kept.set(key, stripNulls(value))
  return kept
}

/** `j[…] = value` for the executor: subscripts as text, integers too; a NULL container becomes what the first one asks for. */
export function assignJsonbSubscript(
  container: Jsonb | null,
  path: readonly string[],
  firstIsInteger: boolean,
  value: Jsonb | null,
): Jsonb {
  const root: JsonNode = container === null ? (firstIsInteger ? [] : new Map()) : container.root
  const change: Change = { op: 'create', building: true, path, value: value?.root ?? null }
  return jsonb(changed(root, change, 0))
}
