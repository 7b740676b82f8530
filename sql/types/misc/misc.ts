/** The door of the small families: registerMisc() makes booleans, identifiers, names, bits and pseudo-types known. */
import { install, installAggregates } from '../function.ts'
import { registerTypes } from '../registry.ts'
import { BIT_AGGREGATES, BIT_FUNCTIONS, BIT_TYPES } from './bits.ts'
import { BOOL_AGGREGATES, BOOL_FUNCTIONS, BOOL_TYPE } from './bool.ts'
import { HASH_FUNCTIONS } from './hash.ts'
import { COMPOUND_HASH_FUNCTIONS } from './hash-compound.ts'
import { IDENTIFIER_AGGREGATES, IDENTIFIER_FUNCTIONS, IDENTIFIER_TYPES } from './identifiers.ts'
import { INPUT_OUTPUT_FUNCTIONS } from './input-output.ts'
import { LOG_POSITION_AGGREGATES, LOG_POSITION_FUNCTIONS, LOG_POSITION_TYPES } from './log-positions.ts'
import { MONEY_AGGREGATES, MONEY_FUNCTIONS, MONEY_TYPE } from './money.ts'
import { NETWORK_AGGREGATES, NETWORK_FUNCTIONS, NETWORK_TYPES } from './network.ts'
import { PSEUDO_TYPES } from './pseudo.ts'
import { REGISTERED_NAME_FUNCTIONS, REGISTERED_NAME_TYPES } from './registered-names.ts'
import { VECTOR_FUNCTIONS, VECTOR_TYPES } from './vectors.ts'

export function registerMisc(): void {
  registerTypes([
    BOOL_TYPE,
    ...IDENTIFIER_TYPES,
    ...REGISTERED_NAME_TYPES,
    ...VECTOR_TYPES,
    ...BIT_TYPES,
    ...LOG_POSITION_TYPES,
    MONEY_TYPE,
    ...NETWORK_TYPES,
    ...PSEUDO_TYPES,
  ])
  install(BOOL_FUNCTIONS)
  install(IDENTIFIER_FUNCTIONS)
  install(REGISTERED_NAME_FUNCTIONS)
  install(VECTOR_FUNCTIONS)
  install(BIT_FUNCTIONS)
  install(HASH_FUNCTIONS)
  install(COMPOUND_HASH_FUNCTIONS)
  install(INPUT_OUTPUT_FUNCTIONS)
  install(LOG_POSITION_FUNCTIONS)
  install(MONEY_FUNCTIONS)
  install(NETWORK_FUNCTIONS)
  installAggregates(BOOL_AGGREGATES)
  installAggregates(IDENTIFIER_AGGREGATES)
  installAggregates(BIT_AGGREGATES)
  installAggregates(LOG_POSITION_AGGREGATES)
  installAggregates(MONEY_AGGREGATES)
  installAggregates(NETWORK_AGGREGATES)
}
