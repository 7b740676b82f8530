/**
 * json, jsonb and jsonpath: the door. json is the text as it was written, checked; jsonb is a tree of exact values.
 * https://www.postgresql.org/docs/15/datatype-json.html
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { install, installAggregates } from '../function.ts'
import { OID } from '../oids.ts'
import { registerTypes } from '../registry.ts'
import { decodeUtf8 } from '../text/chars.ts'
import type { Type } from '../type.ts'
import type { Jsonb } from '../value.ts'
import { ACCESS_FUNCTIONS } from './access.ts'
import { CREATE_FUNCTIONS, JSON_AGGREGATES } from './create.ts'
import { compareTrees, encodeTree, hashNode, jsonb, parseTree, printNode } from './node.ts'
import { checkJson } from './parse.ts'
import { jsonPathType, PATH_FUNCTIONS } from './path/path.ts'
import { POPULATE_FUNCTIONS } from './populate.ts'
import { readNode, writeNode } from './stored.ts'

/** The version byte before a jsonb's text in its binary form. */
const JSONB_VERSION = 1

const jsonType: Type = {
  oid: OID.json,
  name: 'json',
  elementOid: oid(0),
  delimiter: ',',
  input: (text) => {
    checkJson(text)
    return text
  },
  output: (value) => value as string,
  receive: (from, start, end) => {
    const text = decodeUtf8(from, start, end)
    checkJson(text)
    return text
  },
  send: (value, to) => to.text(value as string),
  storage: { kind: 'text' },
}

const jsonbType: Type = {
  oid: OID.jsonb,
  name: 'jsonb',
  elementOid: oid(0),
  delimiter: ',',
  input: (text) => jsonb(parseTree(text)),
  output: (value) => printNode((value as Jsonb).root),
  receive: (from, start, end) => {
    const version = start < end ? from[start]! : 0
    if (version !== JSONB_VERSION) throw sqlError('XX000', `unsupported jsonb version number ${version}`)
    return jsonb(parseTree(decodeUtf8(from, start + 1, end)))
  },
  send: (value, to) => {
    to.uint8(JSONB_VERSION)
    to.text(printNode((value as Jsonb).root))
  },
  compare: (a, b) => compareTrees((a as Jsonb).root, (b as Jsonb).root),
  hashKey: (value) => hashNode((value as Jsonb).root),
  storage: {
    kind: 'bytes',
    write: (value, to) => writeNode((value as Jsonb).root, to),
    read: (from, start) => jsonb(readNode(from, start)),
  },
  encodeKey: (value, to) => encodeTree((value as Jsonb).root, to),
}

export function registerJson(): void {
  registerTypes([jsonType, jsonbType, jsonPathType])
  install(CREATE_FUNCTIONS)
  install(ACCESS_FUNCTIONS)
  install(POPULATE_FUNCTIONS)
  install(PATH_FUNCTIONS)
  installAggregates(JSON_AGGREGATES)
}
