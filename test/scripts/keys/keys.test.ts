/**
 * The key map and the order of values as golden scripts. 'key' prints bytes and their reading; 'order' encodes values that
 * are given in their SQL order and says whether the bytes agree.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { KeyEncoder } from '../../../sql/types/type.ts'
import type { Key } from '../../../storage/keys/brand.ts'
import { createKeyEncoder, int32Key, int64Key, type OrderedEncoder } from '../../../storage/keys/encode.ts'
import * as map from '../../../storage/keys/map.ts'
import { printKey, printSpan } from '../../../storage/keys/print.ts'
import { type Command, golden } from '../golden.ts'

const encoder: OrderedEncoder = createKeyEncoder()
const asKeyEncoder: KeyEncoder = encoder

/** How each type of the scripts encodes its text. */
const WRITERS: Readonly<Record<string, (text: string) => void>> = {
  bool: (text) => encoder.boolean(text === 'true'),
  int2: (text) => encoder.int16(Number(text)),
  int4: (text) => encoder.int32(Number(text)),
  oid: (text) => encoder.uint32(Number(text)),
  int8: (text) => encoder.int64(text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text)),
  float8: (text) => encoder.float64(Number(text)),
  text: (text) => encoder.text(text.replaceAll('\\0', '\0')),
  bytea: (text) => encoder.bytes(Buffer.from(text, 'hex')),
  uuid: (text) => encoder.raw(Buffer.from(text.replaceAll('-', ''), 'hex')),
  numeric: encodeNumeric,
  'int4[]': (text) => {
    for (const item of text === '' ? [] : text.split(',')) {
      asKeyEncoder.byte(1)
      asKeyEncoder.int32(Number(item))
    }
    asKeyEncoder.byte(0)
  },
}

function encodeNumeric(text: string): void {
  const special = (['NaN', 'Infinity', '-Infinity'] as const).find((name) => name === text)
  const [whole = '', fraction = ''] = text.split('.')
  if (special === undefined) encoder.decimal(BigInt(whole + fraction), fraction.length, undefined)
  else encoder.decimal(0n, 0, special)
}

/** `type:text`, as the scripts write values. */
function encodeValue(text: string): void {
  const [type = '', value = ''] = text.split(/:(.*)/s)
  if (value === 'null') encoder.null()
  else WRITERS[type]!(value)
}

function encode(prefix: Key | '', columns: readonly string[], options: Command['options']): Key {
  encoder.start(prefix)
  for (const column of columns) {
    encoder.column(options.nulls === 'first', options.order === 'desc')
    encodeValue(column)
  }
  return encoder.finish()
}

const hex = (key: string) => Buffer.from(key, 'latin1').toString('hex')
const show = (key: Key) => `${hex(key)}  ${printKey(key)}`
const numbers = (words: readonly string[]) => words.map(Number) as [number, number, number, number]

function run({ name, words, options }: Command): string {
  switch (name) {
    case 'row': {
      const [database = '', storage = '', index = '', ...columns] = words
      const key = encode(map.indexPrefix(Number(database), Number(storage), Number(index)), columns, options)
      return show('cut' in options ? (key.slice(0, Number(options.cut)) as Key) : key)
    }
    case 'catalog':
      return show(map.catalogKey(...numbers(words)))
    case 'sequence':
      return show(map.sequenceKey(Number(words[0]), Number(words[1])))
    case 'statistics':
      return show(map.statisticsKey(Number(words[0]), Number(words[1])))
    case 'system':
      return show(map.systemKey(words[0]!))
    case 'local':
      return show(map.localKey(words[0]!))
    case 'span': {
      const [what, ...ids] = words
      const [a, b, c] = numbers(ids)
      const span =
        what === 'table' ? map.tableSpan(a, b) : what === 'index' ? map.indexSpan(a, b, c) : map.databaseSpan(a)
      return `${hex(span.from)}-${hex(span.to)}  ${printSpan(span)}`
    }
    case 'successor':
      return hex(map.successor(Buffer.from(words[0]!, 'hex').toString('latin1') as Key))
    case 'order': {
      const encoded = words.map((word) => ({ word, key: encode('', [word], options) }))
      const lines = encoded.map(
        ({ word, key }) =>
          `${word.padEnd(27)} ${hex(key)}  ${printKey(`\x08\x01\x01\x00${key}` as Key).slice('/table/1/1/pk/'.length)}`,
      )
      const sorted = [...encoded].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
      const isSame = sorted.every((entry, i) => entry.key === encoded[i]!.key)
      return [...lines, isSame ? 'in order' : `order: ${sorted.map(({ word }) => word).join(' ')}`].join('\n')
    }
  }
  throw new Error(`no command ${name}`)
}

test.each(['map', 'order'])('%s', (script) => golden(join(import.meta.dirname, `${script}.txt`), run))

test('the short ways give the same keys', () => {
  const prefix = map.rowKeyPrefix(5, 16384)
  for (const n of [0, 1, -1, 42, 65535, 65536, -65536, 2147483647, -2147483648]) {
    encoder.start(prefix)
    encoder.int32(n)
    expect(int32Key(prefix, n)).toBe(encoder.finish())
  }
  for (const n of [
    0,
    1,
    -1,
    2 ** 31,
    2 ** 32,
    -(2 ** 32),
    -(2 ** 32) - 1,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ]) {
    encoder.start(prefix)
    encoder.int64(n)
    const key = encoder.finish()
    expect(int64Key(prefix, n)).toBe(key)
    encoder.start(prefix)
    encoder.int64(BigInt(n))
    expect(encoder.finish()).toBe(key)
  }
})
