/** CURRENT_DATE, CURRENT_TIMESTAMP(p), CURRENT_USER …: what the standard writes without parentheses. */
import type { SqlValueOp } from '../plan/expression.ts'
import { currentDate, currentTime, currentTimestamp, localTime, localTimestamp } from '../types/datetime/now.ts'
import type { CallContext } from '../types/function.ts'
import type { Value } from '../types/value.ts'
import { nameValue } from './runtime.ts'

/** `typmod` is the written precision, or -1. */
export function sqlValue(op: SqlValueOp, typmod: number, context: CallContext): Value {
  switch (op) {
    case 'current_date':
      return currentDate(context)
    case 'current_time':
      return currentTime(context, typmod)
    case 'current_timestamp':
      return currentTimestamp(context, typmod)
    case 'localtime':
      return localTime(context, typmod)
    case 'localtimestamp':
      return localTimestamp(context, typmod)
    default:
      return nameValue(op, context)
  }
}
