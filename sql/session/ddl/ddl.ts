/** Statements that change the catalog, one family a file. */
import { registerComment } from './comment.ts'
import { registerDrop } from './drop.ts'
import { registerIndexes } from './index-statements.ts'
import { registerRoles } from './roles.ts'
import { registerSchemas } from './schemas.ts'
import { registerSequences } from './sequences.ts'
import { registerCreateTable } from './table-create.ts'
import { registerTypes } from './type-statements.ts'
import { registerViews } from './views.ts'

export function registerDdl(): void {
  registerSchemas()
  registerCreateTable()
  registerIndexes()
  registerSequences()
  registerViews()
  registerTypes()
  registerRoles()
  registerDrop()
  registerComment()
}
