/** COPY's text format by bytes, and bulk loads; messages are PostgreSQL 15's. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createBulkInserter } from '../../sql/executor/copy.ts'
import { CopyTextReader, CopyTextWriter } from '../../sql/executor/copy-format.ts'
import { compileEnv } from '../../sql/executor/executor.ts'
import { CsvReader } from '../../sql/session/utilities/copy-format.ts'
import type { CopyOptions } from '../../sql/session/utilities/copy-options.ts'
import { OID } from '../../sql/types/oids.ts'
import type { Oid } from '../../storage/keys/brand.ts'
import { catalog, context } from '../executor/fixture.ts'
import { isText } from '../property/values.ts'
import { type Database, failure, openDatabase, type Session } from './fixture.ts'

const OPTIONS = { delimiter: '\t', null: '\\N' }
const columnsOf = (...types: Oid[]) =>
  types.map((type, i) => ({ name: 'abc'[i]!, type: catalog.type(type), typmod: -1 }))
const AB = columnsOf(OID.int4, OID.text)

/** In one piece and byte by byte. */
function read(text: string | Buffer, options = OPTIONS, columns = AB) {
  const bytes = Buffer.from(text)
  const whole = new CopyTextReader('t', columns, options, context)
  const rows = [...whole.push(bytes), ...whole.push(undefined)]
  const pieces = new CopyTextReader('t', columns, options, context)
  const again = []
  for (const byte of bytes) again.push(...pieces.push(Buffer.from([byte])))
  again.push(...pieces.push(undefined))
  expect(again).toEqual(rows)
  return rows
}
function refused(text: string | Buffer, options = OPTIONS): string {
  try {
    read(text, options)
  } catch (error) {
    const { code, message, fields } = error as {
      code: string
      message: string
      fields: { context?: string; hint?: string }
    }
    return [code, message, fields.hint, fields.context].filter((part) => part !== undefined).join(' | ')
  }
  return 'no error'
}

describe('the text format', () => {
  it('is read', () => {
    expect(read('1\tx\n2\ty\n')).toEqual([
      [1, 'x'],
      [2, 'y'],
    ])
    expect(read('\\N\ta\\tb\\\\c\\x41\\101\\q\n5\t\\N\n-7\t')).toEqual([
      [null, 'a\tb\\cAAq'],
      [5, null],
      [-7, ''],
    ])
    expect(read('1\tä€\n\\.\nrubbish')).toEqual([[1, 'ä€']])
    expect(read('1\ta\\\nb\n')).toEqual([[1, 'a\nb']])
    expect(read('1\tx\r\n2\ty\r\n')).toEqual([
      [1, 'x'],
      [2, 'y'],
    ])
    expect(read('1\tx\r2\ty')).toEqual([
      [1, 'x'],
      [2, 'y'],
    ])
    expect(read('0001\tx\n2147483647\t\n-2147483648\t')).toEqual([
      [1, 'x'],
      [2147483647, ''],
      [-2147483648, ''],
    ])
    expect(read(' 12 ,\n,a', { delimiter: ',', null: '' })).toEqual([
      [12, null],
      [null, 'a'],
    ])
    expect(read('1|\\N', { delimiter: '|', null: 'none' })).toEqual([[1, 'N']])
    expect(read('\n\n', OPTIONS, [])).toEqual([[], []])
  })
  it('is refused in PostgreSQL’s words', () => {
    expect(refused('1\tx\n2\n')).toBe('22P04 | missing data for column "b" | COPY t, line 2: "2"')
    expect(refused('1\tx\ty\n')).toBe('22P04 | extra data after last expected column | COPY t, line 1: "1\tx\ty"')
    expect(refused('z\tx\ty\n')).toBe('22P04 | extra data after last expected column | COPY t, line 1: "z\tx\ty"')
    expect(refused('zz\tq\n')).toBe(
      '22P02 | invalid input syntax for type integer: "zz" | COPY t, line 1, column a: "zz"',
    )
    expect(refused('1\tq\n99999999999\tq\n')).toBe(
      '22003 | value "99999999999" is out of range for type integer | COPY t, line 2, column a: "99999999999"',
    )
    expect(refused('1\tx\n2\ty\r\n')).toBe(
      '22P04 | literal carriage return found in data | Use "\\r" to represent carriage return. | COPY t, line 2',
    )
    expect(refused('1\tx\r\n2\ty\n')).toBe(
      '22P04 | literal newline found in data | Use "\\n" to represent newline. | COPY t, line 2',
    )
    expect(refused(Buffer.from([0x31, 9, 0xff, 10]))).toMatch(
      /^22021 \| invalid byte sequence for encoding "UTF8": 0xff \|/,
    )
    expect(refused(Buffer.from([0x31, 9, 0xe2, 0x28, 0xa1, 10]))).toMatch(
      /^22021 \| invalid byte sequence for encoding "UTF8": 0xe2 0x28 0xa1 \|/,
    )
  })
  it('gives back what was written', () => {
    const value = fc.tuple(
      fc.option(fc.integer()),
      fc.option(
        fc
          .oneof(
            fc.string({ unit: fc.constantFrom('\t', '\n', '\r', '\\', 'N', '.', 'é', 'b', '\b', ',') }),
            fc.string({ unit: 'grapheme' }),
          )
          .filter(isText),
      ),
    )
    const delimiter = fc.constantFrom('\t', ',', '|')
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), delimiter, (rows, by) => {
        const options = { delimiter: by, null: '\\N' }
        const writer = new CopyTextWriter(AB, options, context)
        for (const row of rows) writer.row(row)
        expect(read(Buffer.from(writer.take()), options)).toEqual(rows)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a bulk load', () => {
  let database: Database
  let session: Session
  beforeEach(async () => {
    database = await openDatabase()
    session = database.session()
  })
  afterEach(async () => {
    session.rollback()
    await database.close()
  })

  it('fills in defaults, computes, checks, and says which row is wrong', async () => {
    const table = database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'text', { default: "'none'" }],
        ['c', 'int4', { notNull: true }],
        ['d', 'int4', { generated: 'a + c' }],
      ],
      primary: ['a'],
      checks: { t_check: 'c < 100' },
      foreign: [{ columns: ['c'], table: 't', references: ['a'] }],
    })
    const load = async (rows: (number | null)[][], where?: string) => {
      const x = session.execution()
      x.txn.beginStatement()
      const inserter = createBulkInserter(table, x, compileEnv(database.catalog, 'often'), {
        columns: [1, 3],
        ...(where && { where: database.expression(where, table) }),
      })
      try {
        for (const pause of inserter.insert(rows)) await pause.promise
        for (const pause of inserter.finish()) await pause.promise
        await session.commit()
        return `${x.affected}`
      } catch (error) {
        session.rollback()
        return `${inserter.at}: ${await failure(Promise.reject(error))}`
      }
    }
    expect(
      await load([
        [1, 2],
        [2, 1],
        [3, 3],
      ]),
    ).toBe('3')
    expect(await session.run('select * from t')).toEqual([
      [1, 'none', 2, 3],
      [2, 'none', 1, 3],
      [3, 'none', 3, 6],
    ])
    expect(
      await load([
        [4, 1],
        [1, 1],
      ]),
    ).toContain('1: 23505')
    expect(
      await load([
        [4, 1],
        [5, 1],
        [6, null],
      ]),
    ).toContain('2: 23502')
    expect(
      await load([
        [4, 1],
        [5, 100],
      ]),
    ).toContain('1: 23514')
    expect(
      await load([
        [4, 1],
        [5, 55],
      ]),
    ).toContain('23503')
    expect(
      await load(
        [
          [4, 1],
          [50, 55],
          [5, 1],
          [6, null],
        ],
        'a < 50',
      ),
    ).toContain('3: 23502')
    expect(
      await load(
        [
          [4, 1],
          [50, 55],
          [5, 1],
        ],
        'a < 50',
      ),
    ).toBe('2')
    expect(await load([])).toBe('0')
  })
})

describe('csv', () => {
  const csv: CopyOptions = {
    format: 'csv',
    delimiter: ',',
    null: '',
    header: false,
    quote: '"',
    escape: '"',
    forceQuote: [],
    forceNotNull: [],
    forceNull: [],
  }
  const refused = (bytes: Buffer, piece: number): string => {
    const reader = new CsvReader(csv, 't', new Set(), new Set())
    try {
      for (let at = 0; at < bytes.length; at += piece) Array.from(reader.push(bytes.subarray(at, at + piece)))
      Array.from(reader.push(undefined))
    } catch (error) {
      const { code, message, fields } = error as { code: string; message: string; fields: { context?: string } }
      return `${code} | ${message} | ${fields.context}`
    }
    return 'no error'
  }
  it.each([
    ['x,1\ny,2\nz\xff,3\n', '0xff', 3],
    ['x,1\n"y\na\xc3",2\nz,3\n', '0xc3 0x22', 3],
    ['x,1\nz\xc3', '0xc3', 2],
    ['x,1\n\xe2\x82\xac,2\nz\x00,3\n', '0x00', 3],
  ])('names bad bytes and their line, however the data is cut: %j', (latin1, shown, line) => {
    for (const piece of [1, 2, 100])
      expect(refused(Buffer.from(latin1, 'latin1'), piece)).toBe(
        `22021 | invalid byte sequence for encoding "UTF8": ${shown} | COPY t, line ${line}`,
      )
  })
})
