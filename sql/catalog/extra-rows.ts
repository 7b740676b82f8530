/** Built-in objects that PostgreSQL itself does not have, as lines that follow those of its data files: the vector types, hybrid search. */
import { pg_proc as searchFunctions } from '../types/tsearch/catalog-rows.ts'
import * as vector from '../types/vector/catalog-rows.ts'
import * as vectorView from './vector-view.ts'

type Field = null | boolean | number | string | readonly number[]

const TABLES: Readonly<Record<string, readonly Readonly<Record<string, Field>>[]>> = {
  pg_class: vectorView.pg_class,
  pg_attribute: vectorView.pg_attribute,
  pg_init_privs: vectorView.pg_init_privs,
  pg_rewrite: vectorView.pg_rewrite,
  pg_type: [...vector.pg_type, ...vectorView.pg_type],
  pg_proc: [...vector.pg_proc, ...searchFunctions, ...vectorView.pg_proc].map((row) => ({
    prosupport: 0,
    prosecdef: false,
    proleakproof: false,
    ...row,
  })),
  pg_aggregate: vector.pg_aggregate,
  pg_operator: vector.pg_operator,
  pg_cast: vector.pg_cast,
  pg_am: vector.pg_am,
  pg_opfamily: vector.pg_opfamily,
  pg_opclass: vector.pg_opclass,
  pg_amop: vector.pg_amop,
  pg_amproc: vector.pg_amproc,
  pg_description: vector.pg_description,
}

function fieldText(field: Field | undefined, type: string): string {
  if (field === null || field === undefined) return '\\N'
  if (typeof field === 'boolean') return field ? 't' : 'f'
  if (typeof field === 'object') return type.endsWith('[]') ? `{${field.join(',')}}` : field.join(' ')
  return String(field)
}

export function extraLines(name: string, columns: readonly string[], types: readonly string[]): string[] {
  return (TABLES[name] ?? []).map((row) => columns.map((column, i) => fieldText(row[column], types[i]!)).join('\t'))
}
