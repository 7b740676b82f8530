/** All built-in types by oid and by name. Families add theirs here; array types are made on demand by the array family. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Type } from './type.ts'

export const builtinTypes = new Map<Oid, Type>()
export const builtinTypesByName = new Map<string, Type>()

export function registerTypes(types: readonly Type[]): void {
  for (const type of types) {
    builtinTypes.set(type.oid, type)
    builtinTypesByName.set(type.name, type)
  }
}
