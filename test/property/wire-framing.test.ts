/** The reader gives the same messages however the bytes are cut, refuses what PostgreSQL refuses, and never reads outside a message. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Body, decodeText, FrameReader, MessageError } from '../../server/wire/reader.ts'
import { SqlError } from '../../sql/types/error.ts'

interface Frame {
  readonly type: string
  readonly body: Uint8Array
}
const frame = fc.record({
  type: fc.constantFrom('Q', 'P', 'B', 'd', 'p'),
  body: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 500, maxLength: 6000 })),
})

function encode({ type, body }: Frame): Buffer {
  const bytes = Buffer.alloc(5 + body.length)
  bytes.write(type, 'latin1')
  bytes.writeInt32BE(body.length + 4, 1)
  bytes.set(body, 5)
  return bytes
}

/** Pushes `bytes` cut at `cuts` and takes messages as they become whole. */
function readAll(bytes: Buffer, cuts: readonly number[], absorb = false): Frame[] {
  const reader = new FrameReader()
  reader.framing = 'query'
  const frames: Frame[] = []
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b).concat(bytes.length)) {
    reader.push(Buffer.from(bytes.subarray(from, cut)))
    from = cut
    while (reader.next()) {
      while (absorb && reader.type === 0x64 && reader.absorb()) {
        // joined
      }
      frames.push({
        type: String.fromCharCode(reader.type),
        body: Uint8Array.from(reader.buffer.subarray(reader.start, reader.end)),
      })
    }
  }
  expect(reader.backlog).toBe(0)
  return frames
}

const stream = fc.array(frame, { maxLength: 12 }).chain((frames) => {
  const bytes = Buffer.concat(frames.map(encode))
  return fc.record({
    frames: fc.constant(frames),
    bytes: fc.constant(bytes),
    cuts: fc.array(fc.nat(bytes.length), { maxLength: 60 }),
  })
})

describe('framing', () => {
  test('any chunking gives the same messages', () => {
    fc.assert(
      fc.property(stream, ({ frames, bytes, cuts }) => {
        expect(readAll(bytes, cuts)).toEqual(frames)
      }),
      { numRuns: 300 },
    )
  })

  test('byte by byte', () => {
    fc.assert(
      fc.property(stream, ({ frames, bytes }) => {
        expect(readAll(bytes, Array.from(bytes.keys()))).toEqual(frames)
      }),
      { numRuns: 20 },
    )
  })

  test('joined CopyData has the same bytes in the same order', () => {
    const joined = (frames: readonly Frame[]): Frame[] => {
      const out: { type: string; body: Uint8Array }[] = []
      for (const { type, body } of frames) {
        const last = out.at(-1)
        if (type === 'd' && last?.type === 'd') last.body = Uint8Array.from([...last.body, ...body])
        else out.push({ type, body })
      }
      return out
    }
    fc.assert(
      fc.property(stream, ({ frames, bytes, cuts }) => {
        expect(joined(readAll(bytes, cuts, true))).toEqual(joined(frames))
      }),
      { numRuns: 300 },
    )
  })

  test('a message that was read stays as it was when more comes', () => {
    const reader = new FrameReader()
    reader.framing = 'query'
    const first = encode({ type: 'Q', body: Buffer.alloc(100, 1) })
    reader.push(first.subarray(0, 50))
    reader.push(Buffer.concat([first.subarray(50), encode({ type: 'Q', body: Buffer.alloc(9000, 2) })]))
    expect(reader.next()).toBe(true)
    const body = reader.buffer.subarray(reader.start, reader.end)
    expect(reader.next()).toBe(true)
    expect(body).toEqual(Buffer.alloc(100, 1))
  })

  test('random bytes: messages or one FATAL 08P01, nothing else', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('startup', 'password', 'query' as const),
        fc.array(fc.uint8Array({ maxLength: 40 })),
        (framing, chunks) => {
          const reader = new FrameReader()
          reader.framing = framing as FrameReader['framing']
          try {
            for (const chunk of chunks) {
              reader.push(Buffer.from(chunk))
              while (reader.next()) expect(reader.end).toBeGreaterThanOrEqual(reader.start)
            }
          } catch (error) {
            expect(error).toBeInstanceOf(SqlError)
            expect((error as SqlError).code).toBe('08P01')
            expect((error as SqlError).fields.severity).toBe('FATAL')
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a length that promises much takes no memory', () => {
    const reader = new FrameReader()
    reader.framing = 'query'
    reader.push(Buffer.from([0x51, 0x0f, 0xff, 0xff, 0xff]))
    expect(reader.next()).toBe(false)
    expect(reader.backlog).toBe(5)
  })
})

describe('bodies', () => {
  test('reading never leaves the message: a value or MessageError', () => {
    const step = fc.constantFrom('byte', 'uint16', 'int32', 'string', 'name', 'bytes', 'finish' as const)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), fc.array(step, { maxLength: 12 }), (bytes, steps) => {
        // Around the message lie bytes that must not be seen.
        const buffer = Buffer.concat([Buffer.alloc(8, 0xee), bytes, Buffer.alloc(8, 0)])
        const body = new Body().open(buffer, 8, 8 + bytes.length)
        try {
          for (const name of steps) {
            if (name === 'bytes') body.bytes(body.remaining > 3 ? 3 : 4)
            else body[name as 'byte']()
            expect(body.remaining).toBeGreaterThanOrEqual(0)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MessageError)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('names: the remembered one and others', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('', 'a', 'ab', 'abc', 'P0_1', 'ä', 'äb', 'P0_12'), { maxLength: 20 }),
        (names) => {
          const body = new Body()
          const bytes = Buffer.from(names.map((name) => `${name}\0`).join(''))
          body.open(bytes, 0, bytes.length)
          expect(names.map(() => body.name())).toEqual(names)
          body.finish()
        },
      ),
    )
  })

  test('text is UTF-8 or 22021', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = Buffer.from(text)
        expect(decodeText(bytes, 0, bytes.length)).toBe(bytes.toString())
      }),
    )
    for (const [bytes, shown] of [
      [[0xff], '0xff'],
      [[0x61, 0xc3], '0xc3'],
      [[0xc3, 0x28], '0xc3 0x28'],
      [[0xed, 0xa0, 0x80], '0xed 0xa0 0x80'],
      [[0xef, 0xbf, 0xbd, 0xe2, 0x82], '0xe2 0x82'],
    ] as const) {
      expect(() => decodeText(Buffer.from(bytes), 0, bytes.length)).toThrow(
        `invalid byte sequence for encoding "UTF8": ${shown}`,
      )
    }
    expect(decodeText(Buffer.from('\ufffd'), 0, 3)).toBe('\ufffd')
  })
})
