/** The door of the number family: registerNumber() makes its types, functions and aggregates known. */
import { install, installAggregates, installHelpers } from '../function.ts'
import { registerTypes } from '../registry.ts'
import { NUMBER_AGGREGATES } from './aggregates.ts'
import { FLOAT_FUNCTIONS, FLOAT_HELPERS, FLOAT_TYPES } from './float.ts'
import { INTEGER_FUNCTIONS, INTEGER_HELPERS, INTEGER_TYPES } from './integer.ts'
import { NUMERIC_FUNCTIONS, NUMERIC_HELPERS } from './numeric-functions.ts'
import { NUMERIC_TYPE } from './numeric-type.ts'
import { SERIES_FUNCTIONS } from './series.ts'
import { SIZE_FUNCTIONS } from './sizes.ts'
import { TO_CHAR_FUNCTIONS } from './to-char.ts'

export function registerNumber(): void {
  registerTypes([...INTEGER_TYPES, ...FLOAT_TYPES, NUMERIC_TYPE])
  install(INTEGER_FUNCTIONS)
  install(FLOAT_FUNCTIONS)
  install(NUMERIC_FUNCTIONS)
  install(SERIES_FUNCTIONS)
  install(TO_CHAR_FUNCTIONS)
  install(SIZE_FUNCTIONS)
  installHelpers(INTEGER_HELPERS)
  installHelpers(FLOAT_HELPERS)
  installHelpers(NUMERIC_HELPERS)
  installAggregates(NUMBER_AGGREGATES)
}
