/**
 * Integer powers of numerics whose exact products would have hundreds of thousands of digits: right to the last digit
 * shown, and soon. The reference is exact arithmetic for short bases; the others' lengths and ends are PostgreSQL's.
 */
import { describe, expect, it } from 'vitest'
import { divideRounded, parseDecimal, toText } from '../../sql/types/number/numeric.ts'
import { power } from '../../sql/types/number/numeric-math.ts'

const raise = (base: string, exponent: string): string => {
  const [a, b] = [parseDecimal(base), parseDecimal(exponent)]
  if (a === undefined || b === undefined) throw new Error('not a number')
  return toText(power(a, b))
}

/** (digits / 10^scale) ^ exponent at 16 places, exactly. */
function exact(digits: bigint, scale: number, exponent: number): string {
  const size = BigInt(Math.abs(exponent))
  const top = digits ** size * 10n ** 16n
  const bottom = 10n ** (BigInt(scale) * size)
  const shown = exponent > 0 ? divideRounded(top, bottom) : divideRounded(bottom * 10n ** 16n, digits ** size)
  const text = (shown < 0n ? -shown : shown).toString().padStart(17, '0')
  return `${shown < 0n ? '-' : ''}${text.slice(0, -16)}.${text.slice(-16)}`
}

describe('integer powers of numeric', () => {
  it('has every digit of the exact product', () => {
    const cases = [
      ['-1.5', -15n, 1, 7001],
      ['123.456', 123456n, 3, 5001],
      ['0.5', 5n, 1, -20000],
      ['-0.9999', -9999n, 4, 19999],
      ['0.000123', 123n, 6, -3001],
    ] as const
    for (const [text, digits, scale, exponent] of cases) {
      expect(raise(text, String(exponent)), `${text} ^ ${exponent}`).toBe(exact(digits, scale, exponent))
    }
  })

  it('raises to 100,000 and to billions without making the exact product', () => {
    const large = raise('9.99999', '100000')
    expect([large.length, large.slice(0, 30), large.slice(-25)]).toEqual([
      100017,
      '904837372794059641144643340496',
      '62323916.8061428017504696',
    ])
    expect(raise('1.0000001', '100000000')).toBe('22026.4547815773066365')
    expect(raise('1.0000000001', '2147483647')).toBe('1.2395499431832869')
  })
})
