/**
 * Types that only system catalogs have, and that show what the server keeps: aclitem, pg_node_tree (SQL text here),
 * anyarray and statistics. Values are held as their text; where PostgreSQL refuses input it is refused here, and nothing
 * of these types can be stored in a table.
 */
import { oid } from '../../storage/keys/brand.ts'
import { arrayType } from '../types/array/array.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { registerTypes } from '../types/registry.ts'
import type { Type } from '../types/type.ts'
import type { ArrayValue, Value } from '../types/value.ts'
import { ACL_LETTERS } from './acl.ts'

type Input = (text: string, name: string) => Value
const refused: Input = (_, name) => {
  throw sqlError('0A000', `cannot accept a value of type ${name}`)
}

/** 'role=arw/grantor' or '=r/grantor'. Throws 22P02. */
function aclItem(text: string): Value {
  const match = /^(?:(?:group|user)\s+)?("(?:[^"]|"")*"|[^="]*)=([a-zA-Z*]*)(?:\/(.+))?$/.exec(text)
  if (match === null) throw sqlError('22P02', 'missing "=" sign')
  for (const letter of match[2]!) {
    if (letter !== '*' && !ACL_LETTERS.includes(letter))
      throw sqlError('22P02', `invalid mode character: must be one of "${ACL_LETTERS}"`)
  }
  return text
}

function textType(number: number, name: string, input: Input): Type {
  return {
    oid: oid(number),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => input(text, name),
    output: (value) => value as string,
    receive() {
      throw sqlError('42883', `no binary input function available for type ${name}`)
    },
    send: (value, to) => to.text(value as string),
    hashKey: (value) => value as string,
    storage: {
      kind: 'bytes',
      write() {
        throw notSupported(`storing values of type ${name}`)
      },
      read() {
        throw notSupported(`storing values of type ${name}`)
      },
    },
  }
}

/** Elements of any type, already as text. */
function anyArray(): Type {
  const texts = arrayType(
    textType(25, 'text', (text) => text),
    oid(1009),
    '_text',
  )
  return {
    ...textType(2277, 'anyarray', refused),
    output: (value, context) => texts.output(printable(value as ArrayValue), context),
  }
}
const printable = (value: ArrayValue): ArrayValue => ({
  ...value,
  elements: value.elements.map((element) => (element === null ? null : String(element))),
})

export function registerCatalogTypes(): void {
  const aclItemType = textType(1033, 'aclitem', aclItem)
  registerTypes([
    aclItemType,
    arrayType(aclItemType, oid(1034), '_aclitem'),
    textType(194, 'pg_node_tree', refused),
    textType(3361, 'pg_ndistinct', refused),
    textType(3402, 'pg_dependencies', refused),
    textType(5017, 'pg_mcv_list', refused),
    anyArray(),
  ])
}
