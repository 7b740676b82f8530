/**
 * Rows and enums: the door. Named row types and enums are made by the catalog with `compositeType` and `enumType`; here
 * are the type record itself, the comparison of rows, and the enum functions.
 * https://www.postgresql.org/docs/15/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { createByteWriter } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { bound, type FunctionBody, type FunctionTable, install, installAggregates } from '../function.ts'
import { builtinTypes, registerTypes } from '../registry.ts'
import type { Type, TypeContext, TypeLookup } from '../type.ts'
import type { RecordValue, Value } from '../value.ts'
import { compareRecords, equalRecords, recordType } from './composite.ts'
import { ENUM_AGGREGATES, ENUM_FUNCTIONS } from './enum.ts'

const builtin: TypeLookup = {
  type: (oid) => {
    const found = builtinTypes.get(oid)
    if (!found) throw sqlError('XX000', `cache lookup failed for type ${oid}`)
    return found
  },
}

const compared = <T extends boolean | number>(result: (order: number) => T): FunctionBody =>
  bound<[RecordValue, RecordValue]>(
    ({ context }) =>
      (a, b) =>
        result(compareRecords(a, b, context)),
  )

const equal = (wanted: boolean): FunctionBody =>
  bound<[RecordValue, RecordValue]>(
    ({ context }) =>
      (a, b) =>
        equalRecords(a, b, context) === wanted,
  )

const typeName = (type: Oid, context: TypeContext) => context.names?.typeName(type) ?? context.type(type).name

/** A value as it is stored, for the comparison of images. */
function imageOf(value: Value, type: Type): Buffer {
  const to = createByteWriter()
  const { storage } = type
  if (storage.kind === 'bytes') storage.write(value, to)
  else if (storage.kind === 'text') to.text(value as string)
  else type.send(value, to, NO_CONTEXT)
  return to.toBuffer()
}
const NO_CONTEXT = { ...builtin } as TypeContext // fixed-width types need none

/**
 * Rows by their bytes, what record_image_ops and the *= operators ask: 1.0 and 1.00 differ, and fixed-width values are
 * ordered as unsigned machine words. Throws 42804 as record_image_cmp does.
 */
function compareImages(a: RecordValue, b: RecordValue, context: TypeContext): number {
  const columns = Math.min(a.types.length, b.types.length)
  for (let i = 0; i < columns; i++) {
    const type = a.types[i]!
    if (type !== b.types[i])
      throw sqlError(
        '42804',
        `cannot compare dissimilar column types ${typeName(type, context)} and ${typeName(b.types[i]!, context)} ` +
          `at record column ${i + 1}`,
      )
    const [x, y] = [a.values[i]!, b.values[i]!]
    if (x === null || y === null) {
      if (x === y) continue
      return x === null ? 1 : -1
    }
    const order = imageOf(x, context.type(type)).compare(imageOf(y, context.type(type)))
    if (order !== 0) return order
  }
  if (a.types.length !== b.types.length)
    throw sqlError('42804', 'cannot compare record types with different numbers of columns')
  return 0
}

const image = <T extends boolean | number>(result: (order: number) => T): FunctionBody =>
  bound<[RecordValue, RecordValue]>(
    ({ context }) =>
      (a, b) =>
        result(compareImages(a, b, context)),
  )

const RECORD_FUNCTIONS: FunctionTable = {
  record_eq: equal(true),
  record_ne: equal(false),
  record_lt: compared((order) => order < 0),
  record_le: compared((order) => order <= 0),
  record_gt: compared((order) => order > 0),
  record_ge: compared((order) => order >= 0),
  btrecordcmp: compared((order) => order),
  record_image_eq: image((order) => order === 0),
  record_image_ne: image((order) => order !== 0),
  record_image_lt: image((order) => order < 0),
  record_image_le: image((order) => order <= 0),
  record_image_gt: image((order) => order > 0),
  record_image_ge: image((order) => order >= 0),
  btrecordimagecmp: image((order) => order),
}

export function registerRecords(): void {
  registerTypes([recordType(builtin)])
  install(RECORD_FUNCTIONS)
  install(ENUM_FUNCTIONS)
  installAggregates(ENUM_AGGREGATES)
}
