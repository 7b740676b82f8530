/**
 * Dates, times and intervals (PostgreSQL 15 manual, 8.5 and 9.9).
 *
 *     text ─► tokens ─► decode, decode-interval ─► value ─► encode, encode-interval ─► text
 *                │                                   │
 *              words, abbreviations, zones        calendar, convert, arithmetic, parts, format …
 *
 * All of it is reached through the tables that are registered here.
 */
import { install, installAggregates } from '../function.ts'
import { registerTypes } from '../registry.ts'
import { ARITHMETIC_FUNCTIONS, INTERVAL_AGGREGATES } from './arithmetic.ts'
import { CONVERT_FUNCTIONS } from './convert.ts'
import { FROM_CHAR_FUNCTIONS } from './from-char.ts'
import { MAKE_FUNCTIONS } from './make.ts'
import { NOW_FUNCTIONS } from './now.ts'
import { ORDER_AGGREGATES, ORDER_FUNCTIONS } from './order-functions.ts'
import { PART_FUNCTIONS } from './parts.ts'
import { TO_CHAR_FUNCTIONS } from './to-char.ts'
import { DATETIME_TYPES } from './types.ts'

export function registerDatetime(): void {
  registerTypes(DATETIME_TYPES)
  const tables = [
    ORDER_FUNCTIONS,
    CONVERT_FUNCTIONS,
    NOW_FUNCTIONS,
    ARITHMETIC_FUNCTIONS,
    PART_FUNCTIONS,
    MAKE_FUNCTIONS,
    TO_CHAR_FUNCTIONS,
    FROM_CHAR_FUNCTIONS,
  ]
  for (const table of tables) install(table)
  installAggregates(ORDER_AGGREGATES)
  installAggregates(INTERVAL_AGGREGATES)
}
