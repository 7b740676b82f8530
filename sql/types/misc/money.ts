/**
 * money: an amount of hundredths in 64 bits (an Int64 in memory), shown as lc_monetary C shows it: -$1,234.56.
 * Source: PostgreSQL manual, "Monetary Types".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { readInt64 } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { divisionByZero, INT8_MAX, INT8_MIN, int8 } from '../number/int.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import { rescale } from '../number/numeric.ts'
import type { Type } from '../type.ts'
import { type Int64, Numeric, type Value } from '../value.ts'
import { compareNative, comparisons, NATIVE } from './comparison.ts'
import { extremes, fold } from './extremes.ts'

const outOfRange = () => sqlError('22003', 'money out of range')

function checked(amount: bigint): Int64 {
  if (amount > INT8_MAX || amount < INT8_MIN) throw outOfRange()
  return int8(amount)
}

/** Sign or parenthesis, currency symbol, digits with separators, cents; further digits round. */
const AMOUNT = /^\s*\$?\s*([-(+]?)\s*\$?\s*([0-9,]*)(?:\.([0-9,]*))?([\s)$+-]*)$/

function parseMoney(text: string): Int64 {
  const match = AMOUNT.exec(text)
  if (match === null) throw sqlError('22P02', `invalid input syntax for type money: "${text}"`)
  const [, sign, whole, cents = '', rest] = match
  const fraction = cents.replaceAll(',', '').padEnd(3, '0')
  let amount = BigInt(whole!.replaceAll(',', '') + fraction.slice(0, 2))
  if (fraction[2]! >= '5') amount++
  if (sign === '-' || sign === '(' || rest!.includes('-')) amount = -amount
  if (amount > INT8_MAX || amount < INT8_MIN) throw sqlError('22003', `value "${text}" is out of range for type money`)
  return int8(amount)
}

function moneyText(value: Int64): string {
  const amount = BigInt(value)
  const digits = (amount < 0n ? -amount : amount).toString().padStart(3, '0')
  const whole = digits.slice(0, -2).replaceAll(/\B(?=(?:[0-9]{3})+$)/g, ',')
  return `${amount < 0n ? '-' : ''}$${whole}.${digits.slice(-2)}`
}

const SMALL = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen'
).split(' ')
const TENS = 'zero ten twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const SCALES = ['', ' thousand ', ' million ', ' billion ', ' trillion ', ' quadrillion ']

function belowThousand(n: number): string {
  const hundreds = n > 99 ? `${SMALL[Math.trunc(n / 100)]} hundred` : ''
  const rest = n % 100
  if (hundreds !== '' && rest === 0) return hundreds
  const tens = TENS[Math.trunc(rest / 10)]!
  if (rest >= 20) return `${hundreds} ${rest % 10 === 0 ? tens : `${tens} ${SMALL[rest % 10]}`}`.trim()
  // A round ten stands without "and".
  return hundreds === '' ? SMALL[rest]! : `${hundreds}${rest === 20 ? '' : ' and'} ${SMALL[rest]}`
}

function moneyWords(value: Int64): string {
  const amount = BigInt(value) < 0n ? -BigInt(value) : BigInt(value)
  const cents = Number(amount % 100n)
  let dollars = amount / 100n
  const one = dollars === 1n
  let whole = ''
  for (const scale of SCALES) {
    const three = Number(dollars % 1000n)
    if (three > 0) whole = belowThousand(three) + scale + whole
    dollars /= 1000n
  }
  const words =
    `${value < 0 ? 'minus ' : ''}${whole === '' ? 'zero' : whole} dollar${one ? '' : 's'} and ` +
    `${belowThousand(cents)} cent${cents === 1 ? '' : 's'}`
  return words[0]!.toUpperCase() + words.slice(1)
}

/** Rounds half to even, as rint does. */
function fromFloat(n: number): Int64 {
  if (!(n >= -(2 ** 63) && n < 2 ** 63)) throw outOfRange()
  const below = Math.floor(n)
  const rest = n - below
  return int8(BigInt(rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below))
}

const byFloat = scalar((money: Int64, factor: number) => fromFloat(Number(money) * factor))
const floatBy = scalar((factor: number, money: Int64) => fromFloat(Number(money) * factor))
const dividedByFloat = scalar((money: Int64, divisor: number) => {
  if (divisor === 0) throw divisionByZero()
  return fromFloat(Number(money) / divisor)
})
const byInteger = scalar((money: Int64, factor: Int64) => checked(BigInt(money) * BigInt(factor)))
const dividedByInteger = scalar((money: Int64, divisor: Int64) => {
  if (divisor === 0) throw divisionByZero()
  return checked(BigInt(money) / BigInt(divisor))
})
const ofInteger = scalar((n: Int64) => int8(BigInt(n) * 100n))
const plus = (a: Int64, b: Int64): Int64 => checked(BigInt(a) + BigInt(b))

export const MONEY_TYPE: Type = {
  oid: oid(790),
  name: 'money',
  elementOid: oid(0),
  delimiter: ',',
  input: parseMoney,
  output: (value) => moneyText(value as Int64),
  receive(from, start, end) {
    if (end - start !== 8) throw wrongBinaryLength()
    return readInt64(from, start)
  },
  send: (value, to) => to.int64(value as Int64),
  compare: compareNative,
  hashKey: (value) => value as Int64,
  storage: { kind: 'int64' },
  encodeKey: (value, to) => to.int64(value as Int64),
}

export const MONEY_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `cash_${op}`, NATIVE),
  cash_cmp: scalar(compareNative),
  cash_pl: scalar(plus),
  cash_mi: scalar((a: Int64, b: Int64) => checked(BigInt(a) - BigInt(b))),
  cash_div_cash: scalar((a: Int64, b: Int64) => {
    if (b === 0) throw divisionByZero()
    return Number(a) / Number(b)
  }),
  cash_mul_flt8: byFloat,
  cash_mul_flt4: byFloat,
  flt8_mul_cash: floatBy,
  flt4_mul_cash: floatBy,
  cash_div_flt8: dividedByFloat,
  cash_div_flt4: dividedByFloat,
  cash_mul_int8: byInteger,
  cash_mul_int4: byInteger,
  cash_mul_int2: byInteger,
  int8_mul_cash: byInteger,
  int4_mul_cash: byInteger,
  int2_mul_cash: byInteger,
  cash_div_int8: dividedByInteger,
  cash_div_int4: dividedByInteger,
  cash_div_int2: dividedByInteger,
  cashlarger: scalar((a: Int64, b: Int64) => (a > b ? a : b)),
  cashsmaller: scalar((a: Int64, b: Int64) => (a < b ? a : b)),
  cash_words: scalar(moneyWords),
  cash_numeric: scalar((money: Int64): Value => new Numeric(BigInt(money), 2)),
  numeric_cash: scalar((n: Numeric) => {
    if (n.special !== undefined)
      throw sqlError('0A000', `cannot convert ${n.special === 'NaN' ? 'NaN' : 'infinity'} to bigint`)
    return int8(rescale(n.digits, n.scale, 2))
  }),
  int4_cash: ofInteger,
  int8_cash: ofInteger,
}

export const MONEY_AGGREGATES: AggregateTable = {
  ...extremes('money', compareNative),
  'sum(money)': fold<Int64>(plus),
}
