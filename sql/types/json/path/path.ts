/**
 * The type jsonpath and the functions that run one. In memory a path is its printed form; its tree is kept beside it for
 * as long as it is used. https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-PATH
 */
import { LRUCache } from 'lru-cache'
import { oid } from '../../../../storage/keys/brand.ts'
import { sqlError } from '../../error.ts'
import { bound, type FunctionBody, type FunctionTable, scalar, set } from '../../function.ts'
import { OID } from '../../oids.ts'
import { decodeUtf8 } from '../../text/chars.ts'
import type { Type, TypeContext } from '../../type.ts'
import type { Jsonb, JsonNode, Value } from '../../value.ts'
import { isObject, jsonb } from '../node.ts'
import { isSuppressed, runPath, yieldsAny } from './execute.ts'
import { parsePath } from './parse.ts'
import { type JsonPath, printPath } from './syntax.ts'

/** The version byte before a path's text in its binary form. */
const VERSION = 1

const read = (text: string): string => printPath(parsePath(text))

export const jsonPathType: Type = {
  oid: OID.jsonpath,
  name: 'jsonpath',
  elementOid: oid(0),
  delimiter: ',',
  input: read,
  output: (value) => value as string,
  receive: (from, start, end) => {
    const version = start < end ? from[start]! : 0
    if (version !== VERSION) throw sqlError('XX000', `unsupported jsonpath version number: ${version}`)
    return read(decodeUtf8(from, start + 1, end))
  },
  send: (value, to) => {
    to.uint8(VERSION)
    to.text(value as string)
  },
  storage: { kind: 'text' },
}

const CACHED_MAX = 1000
const trees = new LRUCache<string, JsonPath>({ max: CACHED_MAX })

function treeOf(path: string): JsonPath {
  let tree = trees.get(path)
  if (tree === undefined) {
    tree = parsePath(path)
    trees.set(path, tree)
  }
  return tree
}

const NO_VARIABLES: ReadonlyMap<string, JsonNode> = new Map()

function variablesOf(vars: Jsonb): ReadonlyMap<string, JsonNode> {
  if (isObject(vars.root)) return vars.root
  throw sqlError('22023', '"vars" argument is not an object', {
    detail: 'Jsonpath parameters should be encoded as key-value pairs of "vars" object.',
  })
}

/** All items; when silent, those before the first error, and whether there was one. */
function collect(
  target: Jsonb,
  path: string,
  variables: ReadonlyMap<string, JsonNode>,
  silent: boolean,
  context?: TypeContext,
): { items: JsonNode[]; failed: boolean } {
  const items: JsonNode[] = []
  try {
    for (const item of runPath(treeOf(path), target.root, variables, context)) items.push(item)
  } catch (error) {
    if (!silent || !isSuppressed(error)) throw error
    return { items, failed: true }
  }
  return { items, failed: false }
}

function exists(
  target: Jsonb,
  path: string,
  variables: ReadonlyMap<string, JsonNode>,
  silent: boolean,
  context?: TypeContext,
): boolean | null {
  const tree = treeOf(path)
  if (tree.strict) {
    const { items, failed } = collect(target, path, variables, silent, context)
    return failed ? null : items.length > 0
  }
  try {
    return yieldsAny(tree, target.root, variables, context)
  } catch (error) {
    if (!silent || !isSuppressed(error)) throw error
    return null
  }
}

function match(
  target: Jsonb,
  path: string,
  variables: ReadonlyMap<string, JsonNode>,
  silent: boolean,
  context?: TypeContext,
): boolean | null {
  const { items } = collect(target, path, variables, silent, context)
  const [item] = items
  if (items.length === 1 && (item === null || typeof item === 'boolean')) return item
  if (!silent) throw sqlError('22038', 'single boolean result is expected')
  return null
}

type Arguments = [Jsonb, string, Jsonb, boolean]

const FUNCTIONS: Readonly<Record<string, (context: TypeContext | undefined, ...args: Arguments) => Value>> = {
  jsonb_path_exists: (context, target, path, vars, silent) => exists(target, path, variablesOf(vars), silent, context),
  jsonb_path_match: (context, target, path, vars, silent) => match(target, path, variablesOf(vars), silent, context),
  jsonb_path_query_array: (context, target, path, vars, silent) =>
    jsonb(collect(target, path, variablesOf(vars), silent, context).items),
  jsonb_path_query_first: (context, target, path, vars, silent) => {
    const [first] = collect(target, path, variablesOf(vars), silent, context).items
    return first === undefined ? null : jsonb(first)
  },
}

const query = (withZone: boolean): FunctionBody =>
  set<Arguments>(
    (call) => (target, path, vars, silent) =>
      collect(target, path, variablesOf(vars), silent, withZone ? call.context : undefined).items.map(jsonb),
  )

/** Those named _tz may compare moments by way of the session's time zone. */
export const PATH_FUNCTIONS: FunctionTable = {
  ...Object.fromEntries(
    Object.entries(FUNCTIONS).flatMap(([name, run]) => [
      [name, scalar((...args: Arguments) => run(undefined, ...args))],
      [
        `${name}_tz`,
        bound<Arguments>(
          (call) =>
            (...args) =>
              run(call.context, ...args),
        ),
      ],
    ]),
  ),
  jsonb_path_query: query(false),
  jsonb_path_query_tz: query(true),
  jsonb_path_exists_opr: scalar((target: Jsonb, path: string) => exists(target, path, NO_VARIABLES, true)),
  jsonb_path_match_opr: scalar((target: Jsonb, path: string) => match(target, path, NO_VARIABLES, true)),
}
