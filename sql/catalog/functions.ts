/**
 * Catalog information functions: bodies of pg_proc rows that need only the catalog, the session's search path and its
 * user. `installCatalogFunctions()` puts them among the other function bodies.
 */
import { install } from '../types/function.ts'
import { registerCatalogTypes } from './catalog-types.ts'
import { ADDRESS_FUNCTIONS } from './functions-address.ts'
import { DESCRIBE_FUNCTIONS } from './functions-describe.ts'
import { MORE_FUNCTIONS } from './functions-more.ts'
import { PRIVILEGE_FUNCTIONS } from './functions-privilege.ts'
import { SHOW_FUNCTIONS } from './functions-show.ts'
import { SQL_FUNCTIONS } from './functions-sql.ts'
import { VISIBLE_FUNCTIONS } from './functions-visible.ts'

export function installCatalogFunctions(): void {
  registerCatalogTypes()
  for (const table of [
    SHOW_FUNCTIONS,
    VISIBLE_FUNCTIONS,
    DESCRIBE_FUNCTIONS,
    ADDRESS_FUNCTIONS,
    PRIVILEGE_FUNCTIONS,
    MORE_FUNCTIONS,
    SQL_FUNCTIONS,
  ])
    install(table)
}
