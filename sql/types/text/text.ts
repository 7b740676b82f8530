/** The door of the string family: registerText() makes its types, functions and aggregates known. */
import { install, installAggregates, installHelpers } from '../function.ts'
import { extremes } from '../misc/extremes.ts'
import { registerTypes } from '../registry.ts'
import { BYTEA_FUNCTIONS, BYTEA_TYPE, STRING_AGGREGATES } from './bytea.ts'
import { compareText } from './chars.ts'
import { FORMAT_FUNCTIONS } from './format.ts'
import { LIKE_FUNCTIONS, LIKE_HELPERS } from './like.ts'
import { compareBpchar, TEXT_HELPERS, TEXT_OPERATORS } from './operators.ts'
import { REGEXP_FUNCTIONS, REGEXP_HELPERS } from './regexp.ts'
import { STRING_TYPES } from './string-types.ts'
import { STRING_FUNCTIONS } from './strings.ts'

export function registerText(): void {
  registerTypes([...STRING_TYPES, BYTEA_TYPE])
  install(TEXT_OPERATORS)
  install(STRING_FUNCTIONS)
  install(LIKE_FUNCTIONS)
  install(REGEXP_FUNCTIONS)
  install(BYTEA_FUNCTIONS)
  install(FORMAT_FUNCTIONS)
  installHelpers(TEXT_HELPERS)
  installHelpers(LIKE_HELPERS)
  installHelpers(REGEXP_HELPERS)
  installAggregates(STRING_AGGREGATES)
  installAggregates(extremes('text', compareText))
  installAggregates(extremes('bpchar', compareBpchar))
}
