/**
 * information_schema's five domains with their rules as bound expressions: column 1 of relation 0 stands for VALUE.
 * (Their names are PostgreSQL's; the data files hold the rules as text, which nothing below the binder can read.)
 */
import { oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue } from '../types/value.ts'
import type { TypeRow } from './catalog.ts'

type Domain = NonNullable<TypeRow['domain']>

const check = (name: string, number: number, expression: Expression): Domain => ({
  checks: [{ oid: oid(number), name, check: expression, validated: true }],
})

const INT4_GE = { operator: oid(525), function: oid(150) }
const TEXT_EQ = { operator: oid(98), function: oid(67) }
const C_COLLATION = oid(950)

const DOMAINS: Readonly<Record<string, Domain>> = {
  cardinal_number: check('cardinal_number_domain_check', 13222, {
    kind: 'call',
    function: INT4_GE.function,
    operator: INT4_GE.operator,
    args: [
      { kind: 'var', level: 0, relation: 0, column: 1, type: OID.int4, typmod: -1 },
      { kind: 'const', value: 0, type: OID.int4, typmod: -1 },
    ],
    display: 'operator',
    variadic: false,
    setReturning: false,
    type: OID.bool,
    typmod: -1,
  }),
  yes_or_no: check('yes_or_no_check', 13235, {
    kind: 'any-array',
    function: TEXT_EQ.function,
    operator: TEXT_EQ.operator,
    all: false,
    left: {
      kind: 'relabel',
      arg: { kind: 'var', level: 0, relation: 0, column: 1, type: OID.varchar, typmod: 7, collation: C_COLLATION },
      display: 'cast',
      type: OID.text,
      typmod: -1,
    },
    right: { kind: 'const', value: ArrayValue.of(['YES', 'NO']), type: OID.textArray, typmod: -1 },
    type: OID.bool,
    typmod: -1,
  }),
  time_stamp: {
    default: { kind: 'sql-value', op: 'current_timestamp', type: OID.timestamptz, typmod: 2 },
    checks: [],
  },
}

export const builtinDomain = (name: string): Domain => DOMAINS[name] ?? { checks: [] }
