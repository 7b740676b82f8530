/** The text types against answers recorded from PostgreSQL 15. */
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { registerText } from '../../sql/types/text/text.ts'
import { checkRecorded } from './check.ts'

registerNumber()
registerText()
registerMisc()
checkRecorded(new URL('text.cases.txt', import.meta.url).pathname)
