/** A sink that keeps what it is given. */
import type { Field, Sink } from '../../sql/session/session.ts'
import type { Value } from '../../sql/types/value.ts'

export interface Collected extends Sink {
  readonly rows: Value[][]
  readonly tags: string[]
  readonly notices: string[]
  readonly copied: Buffer[]
  described: readonly Field[] | undefined
}

export function collect(): Collected {
  const rows: Value[][] = []
  const tags: string[] = []
  const notices: string[] = []
  const copied: Buffer[] = []
  return {
    rows,
    tags,
    notices,
    copied,
    described: undefined,
    fields(fields) {
      this.described = fields
    },
    row: (values) => rows.push([...values]),
    flow: () => undefined,
    commandComplete: (tag) => tags.push(tag),
    emptyQuery: () => tags.push(''),
    portalSuspended: () => tags.push('suspended'),
    notice: (notice) => notices.push(notice.message),
    parameterStatus: () => {},
    notification: (_, channel, payload) => notices.push(`${channel} ${payload}`),
    async *copyIn() {},
    copyOut: () => {},
    copyData: (bytes) => copied.push(Buffer.from(bytes)),
    copyDone: () => {},
  }
}
