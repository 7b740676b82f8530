/** Utility statements that are neither DDL nor transaction control. */
import { registerCopy } from './copy.ts'
import { registerCursors } from './cursors.ts'
import { registerDo } from './do.ts'
import { registerExplain } from './explain.ts'
import { registerNotify } from './notify.ts'
import { registerPrepare } from './prepare.ts'

export function registerSessionUtilities(): void {
  registerPrepare()
  registerCursors()
  registerDo()
  registerExplain()
  registerCopy()
  registerNotify()
}
