/**
 * What a client that does not speak UTF-8 writes and reads: each text of a message is converted on its way in and out, by
 * its client_encoding (PostgreSQL manual, "Automatic Character Set Conversion"). Single-byte sets; UTF8 and SQL_ASCII pass
 * as they are, and nothing here is touched for them.
 */
import { SqlError } from '../sql/types/error.ts'
import { decodeFrom, encodeTo, isSingleByte } from '../sql/types/text/encodings.ts'
import { MessageError } from './wire/reader.ts'

export interface ClientEncoding {
  readonly name: string
  /** 22P05 for what the set has not; `lenient`: a question mark stands for it. */
  encode(text: string, lenient?: boolean): Uint8Array
  /** 22021, 22P05. */
  decode(bytes: Uint8Array): string
}

const known = new Map<string, ClientEncoding>()

/** undefined: texts are UTF-8. */
export function clientEncoding(name: string): ClientEncoding | undefined {
  if (!isSingleByte(name)) return undefined
  let found = known.get(name)
  if (found === undefined) {
    found = {
      name,
      encode: (text, lenient) => encodeTo(text, name, lenient),
      decode(bytes) {
        try {
          return decodeFrom(bytes, name)
        } catch (error) {
          throw error instanceof SqlError ? new MessageError(error.code, error.message) : error
        }
      },
    }
    known.set(name, found)
  }
  return found
}
