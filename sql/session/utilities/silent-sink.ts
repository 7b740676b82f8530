/** Where the results of statements go that run inside another one: nowhere. Only notices and reports reach the client. */
import { sqlError } from '../../types/error.ts'
import type { Backend } from '../backend.ts'
import type { Sink } from '../session.ts'

/** `where`: what the statements are part of, for errors. */
export const silentSink = (session: Backend, where = 'an SQL function'): Sink => ({
  fields: () => {},
  row: () => {},
  flow: () => undefined,
  commandComplete: () => {},
  emptyQuery: () => {},
  portalSuspended: () => {},
  notice: (notice) => session.notice(notice),
  parameterStatus: (name, value) => session.sink?.parameterStatus(name, value),
  notification: (pid, channel, payload) => session.sink?.notification(pid, channel, payload),
  copyIn: () => {
    throw sqlError('0A000', `cannot COPY to/from client in ${where}`)
  },
  copyOut: () => {},
  copyData: () => {},
  copyDone: () => {},
})
