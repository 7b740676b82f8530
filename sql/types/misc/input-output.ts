/**
 * The input, output and send functions of types as SQL calls them: `int4in('5')`, `textsend('a')`, `record_out(r)`.
 * They are the type's own methods under the names that pg_type lists; which type it is comes with the call.
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { createByteWriter } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { bound, type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { builtinTypesByName } from '../registry.ts'
import type { Type, TypeContext } from '../type.ts'
import type { ArrayValue, Value } from '../value.ts'

const input: FunctionBody = bound<[string, ...Value[]]>(({ context, returnType }) => (text, _type, typmod) => {
  return context.type(returnType).input(text, typeof typmod === 'number' ? typmod : -1, context)
})

/** record_in and enum_in: their second argument says the type. */
const inputOf: FunctionBody = bound<[string, Oid, Value]>(({ context }) => (text, type, typmod) => {
  return context.type(type).input(text, typeof typmod === 'number' ? typmod : -1, context)
})

const output: FunctionBody = bound<[Value]>(({ context, argTypes }) => {
  const type = context.type(argTypes[0]!)
  return (value) => type.output(value, context)
})

const send: FunctionBody = bound<[Value]>(({ context, argTypes }) => {
  const type = context.type(argTypes[0]!)
  return (value) => sent(type, value, context)
})

function sent(type: Type, value: Value, context: TypeContext): Uint8Array {
  const to = createByteWriter()
  type.send(value, to, context)
  return to.toBuffer()
}

/** Types whose functions are named with an underscore, `date_in`, and without, `int4in`. */
const UNDERSCORED =
  'bit cash circle cstring date box inet cidr interval json jsonb jsonpath line lseg macaddr macaddr8 numeric path pg_lsn ' +
  'pg_snapshot point poly time timestamp timestamptz timetz uuid varbit xml'
const JOINED =
  'bool bpchar bytea char cid float4 float8 int2 int2vector int4 int8 name oid oidvector regclass regcollation ' +
  'regconfig regdictionary regnamespace regoper regoperator regproc regprocedure regrole regtype text tid unknown ' +
  'varchar xid xid8'
/** Types with a modifier, and the name before typmodin. */
const MODIFIED: Readonly<Record<string, string>> = {
  bit: 'bit',
  bpchar: 'bpchar',
  interval: 'interval',
  numeric: 'numeric',
  time: 'time',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  timetz: 'timetz',
  varbit: 'varbit',
  varchar: 'varchar',
}

function ofType(name: string): Type {
  const type = builtinTypesByName.get(name)
  if (type === undefined) throw sqlError('XX000', `cache lookup failed for type ${name}`)
  return type
}

function functions(prefix: string): FunctionTable {
  return { [`${prefix}in`]: input, [`${prefix}out`]: output, [`${prefix}send`]: send }
}

function modifiers(name: string, prefix: string): FunctionTable {
  return {
    [`${prefix}typmodin`]: scalar((args: ArrayValue) => ofType(name).typmodIn?.(args.elements as string[]) ?? -1),
    [`${prefix}typmodout`]: scalar((typmod: number) => ofType(name).typmodOut?.(typmod) ?? ''),
  }
}

export const INPUT_OUTPUT_FUNCTIONS: FunctionTable = Object.assign(
  {},
  ...UNDERSCORED.split(' ').map((name) => functions(`${name}_`)),
  ...JOINED.split(' ').map(functions),
  ...Object.entries(MODIFIED).map(([name, prefix]) => modifiers(name, prefix)),
  {
    array_out: output,
    array_send: send,
    record_in: inputOf,
    record_out: output,
    record_send: send,
    enum_in: inputOf,
    enum_out: output,
    enum_send: send,
    void_out: output,
  },
) as FunctionTable
