/** What a column of a domain gets when nothing is given: the domain's default, or NULL, which the domain may refuse. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { Catalog } from './catalog.ts'

/** As a value of the domain, its rules still to be asked (a relabel to it); undefined for other types. */
export function domainDefault(catalog: Catalog, type: Oid): Expression | undefined {
  const row = catalog.typeRow(type)
  if (row?.kind !== 'd') return undefined
  const nothing: Expression = { kind: 'const', value: null, type: row.baseType, typmod: -1 }
  return { kind: 'relabel', arg: row.domain?.default ?? nothing, display: 'implicit', type, typmod: -1 }
}

/** Whether the domain or one it is over has a rule. */
export function hasDomainRules(catalog: Catalog, type: Oid): boolean {
  for (let row = catalog.typeRow(type); row?.kind === 'd'; row = catalog.typeRow(row.baseType))
    if (row.notNull || (row.domain?.checks.length ?? 0) > 0) return true
  return false
}
