/** Laws every type keeps: its keys sort as its values do, and a value comes back from a row as it went in. */
import { expect } from 'vitest'
import { createByteWriter } from '../../sql/types/bytes.ts'
import type { Type } from '../../sql/types/type.ts'
import type { Value } from '../../sql/types/value.ts'
import { createKeyEncoder } from '../../storage/keys/encode.ts'

const encoder = createKeyEncoder()

function keyOf(type: Type, value: Value): string {
  encoder.start('')
  type.encodeKey!(value, encoder)
  return encoder.finish()
}

export function expectKeyOrder(type: Type, a: Value, b: Value): void {
  const x = keyOf(type, a)
  const y = keyOf(type, b)
  expect(x < y ? -1 : x > y ? 1 : 0).toBe(Math.sign(type.compare!(a, b)))
}

/** The stored bytes between other bytes, as in a row. */
export function expectStored(type: Type, value: Value): void {
  if (type.storage.kind !== 'bytes') return
  const to = createByteWriter()
  to.int32(-1)
  type.storage.write(value, to)
  const end = to.length
  to.int32(-1)
  const back = type.storage.read(to.buffer, 4, end)
  to.buffer.fill(0)
  expect(back).toEqual(value)
}
