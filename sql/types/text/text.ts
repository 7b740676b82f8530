/** The door of the string family: registerText() makes its types, functions and aggregates known. */
import { install, installAggregates, installHelpers } from '../function.ts'
import { registerTypes } from '../registry.ts'
import { TEXT_OPERATORS, TEXT_HELPERS } from './operators.ts'
import { STRING_TYPES } from './string-types.ts'

export function registerText(): void {
  registerTypes(STRING_TYPES)
  install(TEXT_OPERATORS)
  installHelpers(TEXT_HELPERS)
  installAggregates({})
}
