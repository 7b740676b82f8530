/** Utility statements that are neither DDL nor transaction control. */
import { registerCursors } from './cursors.ts'
import { registerExplain } from './explain.ts'
import { registerNotify } from './notify.ts'
import { registerPrepare } from './prepare.ts'

export function registerSessionUtilities(): void {
  registerPrepare()
  registerCursors()
  registerExplain()
  registerNotify()
}
