/**
 * Rows and enums: the door. Named row types and enums are made by the catalog with `compositeType` and `enumType`; here
 * are the type record itself, the comparison of rows, and the enum functions.
 * https://www.postgresql.org/docs/15/functions-comparisons.html#COMPOSITE-TYPE-COMPARISON
 */
import { createByteWriter } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { bound, type FunctionBody, type FunctionTable, install, installAggregates } from '../function.ts'
import { builtinTypes, registerTypes } from '../registry.ts'
import type { TypeLookup } from '../type.ts'
import type { RecordValue } from '../value.ts'
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

/** Whether two rows are the same to the byte: what record_image_eq asks, so 1.0 and 1.00 differ. */
function sameImage(a: RecordValue, b: RecordValue, lookup: TypeLookup): boolean {
  const image = (record: RecordValue) => {
    const writer = createByteWriter()
    const { storage } = recordType(lookup)
    if (storage.kind === 'bytes')
      storage.write({ values: record.values, types: record.types, names: undefined }, writer)
    return writer.toBuffer()
  }
  return image(a).equals(image(b))
}

const RECORD_FUNCTIONS: FunctionTable = {
  record_eq: equal(true),
  record_ne: equal(false),
  record_lt: compared((order) => order < 0),
  record_le: compared((order) => order <= 0),
  record_gt: compared((order) => order > 0),
  record_ge: compared((order) => order >= 0),
  btrecordcmp: compared((order) => order),
  record_image_eq: bound<[RecordValue, RecordValue]>(
    ({ context }) =>
      (a, b) =>
        sameImage(a, b, context),
  ),
  record_image_ne: bound<[RecordValue, RecordValue]>(
    ({ context }) =>
      (a, b) =>
        !sameImage(a, b, context),
  ),
}

export function registerRecords(): void {
  registerTypes([recordType(builtin)])
  install(RECORD_FUNCTIONS)
  install(ENUM_FUNCTIONS)
  installAggregates(ENUM_AGGREGATES)
}
