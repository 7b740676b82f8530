/**
 * The degree forms of the trigonometric functions, exact at the angles one expects to be exact (sind(30) = 0.5).
 * The values at those angles are used as scale factors for the quadrant-reduced argument, as PostgreSQL does.
 * Source: PostgreSQL manual, "Trigonometric Functions".
 */
export const RADIANS_PER_DEGREE = 0.017453292519943295

const sine30 = Math.sin(30 * RADIANS_PER_DEGREE)
const oneMinusCosine60 = 1 - Math.cos(60 * RADIANS_PER_DEGREE)
const asine05 = Math.asin(0.5)
const acosine05 = Math.acos(0.5)
const atangent1 = Math.atan(1)

/** sin of 0..30, scaled so that 30 gives exactly 0.5. */
const sine0to30 = (x: number): number => Math.sin(x * RADIANS_PER_DEGREE) / sine30 / 2
const cosine0to60 = (x: number): number => 1 - (1 - Math.cos(x * RADIANS_PER_DEGREE)) / oneMinusCosine60 / 2
const sineFirst = (x: number): number => (x <= 30 ? sine0to30(x) : cosine0to60(90 - x))
const cosineFirst = (x: number): number => (x <= 60 ? cosine0to60(x) : sine0to30(90 - x))

export function sind(angle: number): number {
  let x = angle % 360
  let sign = 1
  if (x < 0) {
    x = -x
    sign = -sign
  }
  if (x > 180) {
    x = 360 - x
    sign = -sign
  }
  if (x > 90) x = 180 - x
  return sign * sineFirst(x)
}

export function cosd(angle: number): number {
  let x = Math.abs(angle % 360)
  let sign = 1
  if (x > 180) x = 360 - x
  if (x > 90) {
    x = 180 - x
    sign = -sign
  }
  return sign * cosineFirst(x)
}

const tangent45 = sineFirst(45) / cosineFirst(45)
const cotangent45 = cosineFirst(45) / sineFirst(45)

/** Reduces to the first quadrant, where the ratio is taken; `half` is the function's period. */
function reduced(angle: number): { readonly x: number; readonly sign: number } {
  let x = angle % 360
  let sign = 1
  if (x < 0) {
    x = -x
    sign = -sign
  }
  if (x > 180) {
    x = 360 - x
    sign = -sign
  }
  if (x > 90) {
    x = 180 - x
    sign = -sign
  }
  return { x, sign }
}

export function tand(angle: number): number {
  const { x, sign } = reduced(angle)
  const r = sign * (sineFirst(x) / cosineFirst(x) / tangent45)
  return r === 0 ? 0 : r
}

export function cotd(angle: number): number {
  const { x, sign } = reduced(angle)
  const r = sign * (cosineFirst(x) / sineFirst(x) / cotangent45)
  return r === 0 ? 0 : r
}

const acosineFirst = (x: number): number =>
  x <= 0.5 ? 90 - (Math.asin(x) / asine05) * 30 : (Math.acos(x) / acosine05) * 60
const asineFirst = (x: number): number =>
  x <= 0.5 ? (Math.asin(x) / asine05) * 30 : 90 - (Math.acos(x) / acosine05) * 60

export const acosd = (x: number): number => (x >= 0 ? acosineFirst(x) : 90 + asineFirst(-x))
export const asind = (x: number): number => (x >= 0 ? asineFirst(x) : -asineFirst(-x))
export const atand = (x: number): number => (Math.atan(x) / atangent1) * 45
export const atan2d = (y: number, x: number): number => (Math.atan2(y, x) / atangent1) * 45
