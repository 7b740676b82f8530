/** Functions that ask the session or the server: installSessionFunctions() puts them among the other function bodies. */
import { install } from '../../types/function.ts'
import { ACTIVITY_FUNCTIONS } from './activity-functions.ts'
import { LOCK_FUNCTIONS } from './lock-functions.ts'
import { SEQUENCE_FUNCTIONS } from './sequence-functions.ts'
import { SERVER_FUNCTIONS } from './server-functions.ts'
import { SETTING_FUNCTIONS } from './setting-functions.ts'
import { STATISTICS_FUNCTIONS } from './statistics-functions.ts'
import { VECTOR_FUNCTIONS } from './vector-functions.ts'

export function installSessionFunctions(): void {
  for (const table of [
    SERVER_FUNCTIONS,
    SETTING_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    LOCK_FUNCTIONS,
    STATISTICS_FUNCTIONS,
    ACTIVITY_FUNCTIONS,
    VECTOR_FUNCTIONS,
  ])
    install(table)
}
