/**
 * Constants and parameters as they are written: a whole number takes the smallest type that holds it, others are numeric
 * (PostgreSQL manual, 4.1.2.6).
 */
import type { A_Const } from '@pgsql/types'
import { oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import { OID } from '../types/oids.ts'
import { readLiteral } from './coerce.ts'
import { at, type BindContext, errorAt } from './context.ts'
import type { Scope } from './scope.ts'

export const text = (value: string | null): Expression => ({ kind: 'const', value, type: OID.unknown, typmod: -1 })

const boolean = (value: boolean | null): Expression => ({ kind: 'const', value, type: OID.bool, typmod: -1 })

export const BOOL = { type: OID.bool, typmod: -1 } as const

const INT4_MAX = 2147483647n

const INT8_MAX = 9223372036854775807n

export function bindConstant(b: BindContext, _: Scope, node: A_Const): Expression {
  if (node.isnull) return text(null)
  if (node.ival !== undefined) return { kind: 'const', value: node.ival.ival ?? 0, type: OID.int4, typmod: -1 }
  if (node.sval !== undefined) return text(node.sval.sval ?? '')
  if (node.boolval !== undefined) return boolean(node.boolval.boolval ?? false)
  if (node.fval !== undefined) return bindNumber(b, node.fval.fval ?? '0', node.location)
  if (node.bsval !== undefined)
    return at(b, node.location, () => ({
      kind: 'const',
      value: b.catalog.type(OID.bit).input(node.bsval!.bsval ?? '', -1, b.typeContext),
      type: OID.bit,
      typmod: -1,
    }))
  return text(null)
}

function bindNumber(b: BindContext, digits: string, location: number | undefined): Expression {
  const plain = digits.replaceAll('_', '')
  // The grammar has made one literal of a minus sign and its number.
  if (/^-?(\d+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(plain)) {
    const value = plain.startsWith('-') ? -BigInt(plain.slice(1)) : BigInt(plain)
    if (value <= INT4_MAX && value >= -INT4_MAX - 1n)
      return { kind: 'const', value: Number(value), type: OID.int4, typmod: -1 }
    if (value <= INT8_MAX && value >= -INT8_MAX - 1n)
      return {
        kind: 'const',
        value: Number.isSafeInteger(Number(value)) ? Number(value) : value,
        type: OID.int8,
        typmod: -1,
      }
    return readLiteral(b, value.toString(), OID.numeric, -1, location)
  }
  return readLiteral(b, plain, OID.numeric, -1, location)
}

export function bindParameter(b: BindContext, index: number, location?: number): Expression {
  if (index < 1 || index > 65535 || (b.parametersFixed && index > b.parameters.length))
    throw errorAt(b, '42P02', `there is no parameter $${index}`, location)
  while (b.parameters.length < index) b.parameters.push(oid(0))
  const known = b.parameters[index - 1]!
  return { kind: 'param', index, type: known === 0 ? OID.unknown : known, typmod: -1 }
}
