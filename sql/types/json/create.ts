/**
 * Functions that make JSON out of SQL values: to_json, json_build_object, json_object, row_to_json, and the aggregates.
 * The json ones write text with PostgreSQL's spaces (`{"a" : 1}`), the jsonb ones make trees.
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import {
  type AggregateBody,
  type AggregateTable,
  bound,
  type CallInfo,
  type FunctionTable,
  scalar,
} from '../function.ts'
import type { ArrayValue, JsonNode, Value } from '../value.ts'
import { isStructured, jsonWriter, keyMaker, nodeMaker, toJsonb } from './convert.ts'
import { jsonb, makeObject, quoteJson } from './node.ts'

/**
 * The arguments of a VARIADIC "any" call: as they are, or the elements of the one array after VARIADIC, each made by its
 * own type's maker. A NULL array gives null.
 */
function variadicMakers<T>(
  call: CallInfo,
  make: (type: Oid, index: number) => (value: Value) => T,
): (args: readonly Value[]) => T[] | null {
  if (call.variadic) {
    const element = call.context.type(call.argTypes[0]!).elementOid
    const makers: ((value: Value) => T)[] = []
    return ([array]) => {
      if (array === null) return null
      const elements = (array as ArrayValue).elements
      for (let i = makers.length; i < elements.length; i++) makers.push(make(element, i))
      return elements.map((value, i) => makers[i]!(value))
    }
  }
  const makers = call.argTypes.map(make)
  return (args) => args.map((value, i) => makers[i]!(value))
}

function checkEven(count: number, name: string): void {
  if (count % 2 === 0) return
  throw sqlError('22023', 'argument list must have even number of elements', {
    hint: `The arguments of ${name}() must consist of alternating keys and values.`,
  })
}

const buildObject = bound<Value[]>((call) => {
  const { context } = call
  const parts = variadicMakers<string>(call, (type, index) => {
    if (index % 2 === 1) return jsonWriter(type, context)
    const key = keyMaker(type, context)
    return (value) => {
      if (value === null)
        throw sqlError('22023', `argument ${index + 1} cannot be null`, { hint: 'Object keys should be text.' })
      return quoteJson(key(value))
    }
  })
  return (...args) => {
    checkEven(call.variadic ? ((args[0] as ArrayValue | null)?.elements.length ?? 0) : args.length, 'json_build_object')
    const members = parts(args)
    if (members === null) return null
    let text = '{'
    for (let i = 0; i < members.length; i += 2) text += `${i > 0 ? ', ' : ''}${members[i]!} : ${members[i + 1]!}`
    return `${text}}`
  }
})

const buildObjectb = bound<Value[]>((call) => {
  const { context } = call
  const parts = variadicMakers<JsonNode>(call, (type, index) => {
    if (index % 2 === 1) return nodeMaker(type, context)
    const key = keyMaker(type, context)
    return (value) => {
      if (value === null) throw sqlError('22023', `argument ${index + 1}: key must not be null`)
      return key(value)
    }
  })
  return (...args) => {
    checkEven(
      call.variadic ? ((args[0] as ArrayValue | null)?.elements.length ?? 0) : args.length,
      'jsonb_build_object',
    )
    const members = parts(args)
    if (members === null) return null
    const pairs: [string, JsonNode][] = []
    for (let i = 0; i < members.length; i += 2) pairs.push([members[i] as string, members[i + 1]!])
    return jsonb(makeObject(pairs))
  }
})

const buildArray = bound<Value[]>((call) => {
  const parts = variadicMakers(call, (type) => jsonWriter(type, call.context))
  return (...args) => {
    const items = parts(args)
    return items && `[${items.join(', ')}]`
  }
})

const buildArrayb = bound<Value[]>((call) => {
  const parts = variadicMakers(call, (type) => nodeMaker(type, call.context))
  return (...args) => {
    const items = parts(args)
    return items && jsonb(items)
  }
})

const badSubscripts = () => sqlError('2202E', 'wrong number of array subscripts')

/** json_object's pairs, from {k,v,k,v} or {{k,v},{k,v}}. */
function pairsOf(array: ArrayValue): (readonly [string, string | null])[] {
  const [outer, inner] = array.dimensions
  if (array.dimensions.length > 2) throw badSubscripts()
  if (inner === undefined) {
    if (outer !== undefined && outer % 2 === 1) throw sqlError('2202E', 'array must have even number of elements')
  } else if (inner !== 2) {
    throw sqlError('2202E', 'array must have two columns')
  }
  const pairs: (readonly [string, string | null])[] = []
  for (let i = 0; i < array.elements.length; i += 2) pairs.push(pair(array.elements[i]!, array.elements[i + 1]!))
  return pairs
}

function pair(key: Value, value: Value): readonly [string, string | null] {
  if (key === null) throw sqlError('22004', 'null value not allowed for object key')
  return [key as string, value as string | null]
}

function zipped(keys: ArrayValue, values: ArrayValue): (readonly [string, string | null])[] {
  if (keys.dimensions.length > 1 || keys.dimensions.length !== values.dimensions.length) throw badSubscripts()
  if (keys.elements.length !== values.elements.length) throw sqlError('2202E', 'mismatched array dimensions')
  return keys.elements.map((key, i) => pair(key, values.elements[i]!))
}

const objectText = (pairs: readonly (readonly [string, string | null])[]) =>
  `{${pairs.map(([key, value]) => `${quoteJson(key)} : ${value === null ? 'null' : quoteJson(value)}`).join(', ')}}`

export const CREATE_FUNCTIONS: FunctionTable = {
  to_json: bound((call) => jsonWriter(call.argTypes[0]!, call.context)),
  to_jsonb: bound((call) => toJsonb(call.argTypes[0]!, call.context)),
  array_to_json: bound((call) => jsonWriter(call.argTypes[0]!, call.context)),
  array_to_json_pretty: bound<[Value, boolean]>((call) => {
    const plain = jsonWriter(call.argTypes[0]!, call.context)
    const pretty = jsonWriter(call.argTypes[0]!, call.context, true)
    return (value, lines) => (lines ? pretty(value) : plain(value))
  }),
  row_to_json: bound((call) => jsonWriter(call.argTypes[0]!, call.context)),
  row_to_json_pretty: bound<[Value, boolean]>((call) => {
    const plain = jsonWriter(call.argTypes[0]!, call.context)
    const pretty = jsonWriter(call.argTypes[0]!, call.context, true)
    return (value, lines) => (lines ? pretty(value) : plain(value))
  }),
  json_build_object: buildObject,
  json_build_object_noargs: scalar(() => '{}'),
  json_build_array: buildArray,
  json_build_array_noargs: scalar(() => '[]'),
  jsonb_build_object: buildObjectb,
  jsonb_build_object_noargs: scalar(() => jsonb(new Map())),
  jsonb_build_array: buildArrayb,
  jsonb_build_array_noargs: scalar(() => jsonb([])),
  json_object: scalar((array: ArrayValue) => objectText(pairsOf(array))),
  json_object_two_arg: scalar((keys: ArrayValue, values: ArrayValue) => objectText(zipped(keys, values))),
  jsonb_object: scalar((array: ArrayValue) => jsonb(makeObject(pairsOf(array)))),
  jsonb_object_two_arg: scalar((keys: ArrayValue, values: ArrayValue) => jsonb(makeObject(zipped(keys, values)))),
}

const list = <T>(
  open: (call: CallInfo) => (...args: Value[]) => T,
  close: (items: readonly T[], call: CallInfo) => Value,
): AggregateBody<T[]> => ({
  strict: false,
  bind: (call) => {
    const item = open(call)
    return {
      init: () => [],
      step: (state, ...args: Value[]) => {
        state.push(item(...args))
        return state
      },
      final: (state) => (state.length === 0 ? null : close(state, call)),
    }
  },
})

const fieldName = (call: CallInfo): ((key: Value) => string) => {
  const make = keyMaker(call.argTypes[0]!, call.context)
  return (key) => {
    if (key === null) throw sqlError('22023', 'field name must not be null')
    return make(key)
  }
}

export const JSON_AGGREGATES = {
  'json_agg(anyelement)': list<string>(
    (call) => {
      const write = jsonWriter(call.argTypes[0]!, call.context)
      const lines = isStructured(call.argTypes[0]!, call.context)
      // The mark of a new line goes with the item; the first one loses it.
      return (value) => (lines && value !== null ? `\n ${write(value!)}` : write(value!))
    },
    (items) => `[${items.join(', ').replace(/^\n /, '')}]`,
  ),
  'jsonb_agg(anyelement)': list<JsonNode>(
    (call) => {
      const make = nodeMaker(call.argTypes[0]!, call.context)
      return (value) => make(value!)
    },
    (items) => jsonb(items.slice()),
  ),
  'json_object_agg(any,any)': list<string>(
    (call) => {
      const key = fieldName(call)
      const write = jsonWriter(call.argTypes[1]!, call.context)
      return (name, value) => `${quoteJson(key(name!))} : ${write(value!)}`
    },
    (items) => `{ ${items.join(', ')} }`,
  ),
  'jsonb_object_agg(any,any)': list<readonly [string, JsonNode]>(
    (call) => {
      const key = fieldName(call)
      const make = nodeMaker(call.argTypes[1]!, call.context)
      return (name, value) => [key(name!), make(value!)] as const
    },
    (items) => jsonb(makeObject(items)),
  ),
} as AggregateTable
