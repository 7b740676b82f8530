/** Statements that change the catalog, one family a file. */
import { registerAlterTable } from './alter-table.ts'
import { registerComment } from './comment.ts'
import { registerDatabases } from './databases.ts'
import { registerDomains } from './domains.ts'
import { registerDrop } from './drop.ts'
import { registerExtensions } from './extensions.ts'
import { registerGrants } from './grants.ts'
import { registerIndexes } from './index-statements.ts'
import { registerMaintenance } from './maintenance.ts'
import { registerMaterialized } from './materialized.ts'
import { registerOwned } from './owned.ts'
import { registerOwners } from './owner.ts'
import { registerRangeTypes } from './range-types.ts'
import { registerRoles } from './roles.ts'
import { registerRoutines } from './routines.ts'
import { registerSchemas } from './schemas.ts'
import { registerSequences } from './sequences.ts'
import { registerTableAs } from './table-as.ts'
import { registerCreateTable } from './table-create.ts'
import { registerTruncate } from './truncate.ts'
import { registerTypes } from './type-statements.ts'
import { registerUnsupported } from './unsupported.ts'
import { registerViews } from './views.ts'

export function registerDdl(): void {
  registerUnsupported()
  registerSchemas()
  registerCreateTable()
  registerTableAs()
  registerMaterialized()
  registerMaintenance()
  registerAlterTable()
  registerOwners()
  registerOwned()
  registerTruncate()
  registerIndexes()
  registerSequences()
  registerViews()
  registerTypes()
  registerDomains()
  registerRangeTypes()
  registerRoles()
  registerRoutines()
  registerDatabases()
  registerExtensions()
  registerGrants()
  registerDrop()
  registerComment()
}
