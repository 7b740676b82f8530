/** A name that may be a column: `a`, `t.a`, `s.t.a`, or a whole row `t`; the nearest query that knows it counts. */
import type { ColumnRef } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { type BindContext, errorAt, located, routineParameter } from './context.ts'
import { bindField, noteShape } from './row.ts'
import { findColumn, findItem, missingColumn, missingItem, raise, type Scope, wholeRow } from './scope.ts'
import { namesOf } from './typename.ts'

export function bindColumn(b: BindContext, scope: Scope, node: ColumnRef): Expression {
  const e = located({ ...findReference(b, scope, node) }, node.location)
  noteShape(b, scope, e)
  return e
}

function findReference(b: BindContext, scope: Scope, node: ColumnRef): Expression {
  const fields = node.fields ?? []
  if (fields.length > 1 && 'A_Star' in fields.at(-1)!) {
    // t.* outside of a list of targets is the row itself.
    const path = namesOf(fields.slice(0, -1))
    const found = findItem(b, scope, path.at(-2), path.at(-1)!, node.location)
    if (found === undefined) throw missingItem(b, scope, path.join('.'), node.location)
    return wholeRow(found.item, found.level)
  }
  const names = namesOf(fields)
  switch (names.length) {
    case 1: {
      const name = names[0]!
      const column = findColumn(b, scope, name, node.location)
      if (column !== undefined) return column
      const item = findItem(b, scope, undefined, name, node.location)
      if (item !== undefined) return wholeRow(item.item, item.level)
      const system = systemColumn(scope, undefined, name)
      if (system !== undefined) return system
      const parameter = routineParameter(b, undefined, name)
      if (parameter !== undefined) return parameter
      throw missingColumn(b, scope, undefined, name, node.location)
    }
    case 2:
    case 3:
    case 4: {
      const name = names.at(-1)!
      const alias = names.at(-2)!
      const schema = names.length > 2 ? names.at(-3) : undefined
      if (names.length === 4 && names[0] !== b.catalog.databaseName) {
        throw errorAt(b, '0A000', `cross-database references are not implemented: ${names.join('.')}`, node.location)
      }
      const found = findItem(b, scope, schema, alias, node.location)
      if (found === undefined) {
        const parameter = schema === undefined ? parameterOf(b, alias, name, node.location) : undefined
        if (parameter !== undefined) return parameter
        // column.field without parentheses is not SQL; a missing alias is.
        throw missingItem(b, scope, schema === undefined ? alias : `${schema}.${alias}`, node.location)
      }
      const matches = found.item.columns.filter((column) => column.name === name)
      if (matches.length > 1) throw errorAt(b, '42702', `column reference "${name}" is ambiguous`, node.location)
      if (matches[0] !== undefined) return raise(matches[0].expression, found.level)
      const system = systemColumn(scope, alias, name)
      if (system !== undefined) return system
      throw missingColumn(b, scope, alias, name, node.location)
    }
    default:
      throw errorAt(b, '42601', `improper qualified name (too many dotted names): ${names.join('.')}`, node.location)
  }
}

/** `f.a`, or a field of a parameter that is a row: `a.field`. */
function parameterOf(b: BindContext, first: string, second: string, location?: number): Expression | undefined {
  const parameter = routineParameter(b, first, second)
  if (parameter !== undefined) return parameter
  const row = routineParameter(b, undefined, first)
  return row && bindField(b, row, second, location)
}

const SYSTEM_COLUMNS: Readonly<Record<string, { readonly number: number; readonly type: Oid }>> = {
  tableoid: { number: -6, type: OID.oid },
}

const UNSUPPORTED_SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax'])

function systemColumn(scope: Scope, alias: string | undefined, name: string): Expression | undefined {
  const column = SYSTEM_COLUMNS[name]
  if (column === undefined && !UNSUPPORTED_SYSTEM_COLUMNS.has(name)) return undefined
  let level = 0
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent, level++) {
    for (const item of s.items) {
      if (alias !== undefined && item.alias !== alias) continue
      if (item.relation < 0 || s.relations[item.relation]?.kind !== 'table') continue
      if (column === undefined) throw notSupported(`system column "${name}"`)
      return { kind: 'var', level, relation: item.relation, column: column.number, type: column.type, typmod: -1 }
    }
  }
  return undefined
}
