/** Hashes that need several families at once, and input and output by name, against answers recorded from PostgreSQL 15. */
import { registerDatetime } from '../../sql/types/datetime/datetime.ts'
import { registerJson } from '../../sql/types/json/json.ts'
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { registerText } from '../../sql/types/text/text.ts'
import { checkRecorded } from './check.ts'

registerNumber()
registerText()
registerMisc()
registerDatetime()
registerJson()
checkRecorded(new URL('hash.cases.txt', import.meta.url).pathname)
