/** Types without values: they stand in signatures (any, anyelement, internal, trigger) or for no result (void). */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import type { Type } from '../type.ts'

const NAMES: Readonly<Record<string, number>> = {
  any: 2276,
  trigger: 2279,
  event_trigger: 3838,
  language_handler: 2280,
  internal: 2281,
  anyelement: 2283,
  anynonarray: 2776,
  anyenum: 3500,
  fdw_handler: 3115,
  index_am_handler: 325,
  tsm_handler: 3310,
  table_am_handler: 269,
  anyrange: 3831,
  anycompatible: 5077,
  anycompatiblenonarray: 5079,
  anycompatiblerange: 5080,
  anymultirange: 4537,
  anycompatiblemultirange: 4538,
  pg_ddl_command: 32,
}

function pseudoType(name: string, typeOid: number): Type {
  const refuseInput = () => sqlError('0A000', `cannot accept a value of type ${name}`)
  const refuseOutput = () => sqlError('0A000', `cannot display a value of type ${name}`)
  return {
    oid: oid(typeOid),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input() {
      throw refuseInput()
    },
    output() {
      throw refuseOutput()
    },
    receive() {
      throw refuseInput()
    },
    send() {
      throw refuseOutput()
    },
    storage: {
      kind: 'bytes',
      write() {
        throw refuseOutput()
      },
      read() {
        throw refuseInput()
      },
    },
  }
}

const VOID: Type = {
  oid: oid(2278),
  name: 'void',
  elementOid: oid(0),
  delimiter: ',',
  input: () => '',
  output: () => '',
  receive: () => '',
  send: () => undefined,
  storage: { kind: 'text' },
}

export const PSEUDO_TYPES: readonly Type[] = [VOID, ...Object.entries(NAMES).map(([name, id]) => pseudoType(name, id))]
