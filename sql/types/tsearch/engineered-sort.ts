/**
 * The quicksort of Bentley and McIlroy ("Engineering a sort function", 1993), as C libraries have it. It is not stable, and
 * PostgreSQL's rank looks at which of several equal operands comes first: so the order among equals has to be this one.
 */
const INSERTION_BELOW = 7
const NINTHER_ABOVE = 40

type Compare<T> = (a: T, b: T) => number

/** Sorts `list[from, to)` in place. */
export function engineeredSort<T>(list: T[], compare: Compare<T>, from = 0, to = list.length): T[] {
  const at = (i: number): T => list[i]!
  const swap = (i: number, j: number): void => {
    const held = list[i]!
    list[i] = list[j]!
    list[j] = held
  }
  const swapRange = (i: number, j: number, count: number): void => {
    for (let k = 0; k < count; k++) swap(i + k, j + k)
  }
  const median = (a: number, b: number, c: number): number => {
    if (compare(at(a), at(b)) < 0) return compare(at(b), at(c)) < 0 ? b : compare(at(a), at(c)) < 0 ? c : a
    return compare(at(b), at(c)) > 0 ? b : compare(at(a), at(c)) < 0 ? a : c
  }
  const pivotOf = (start: number, count: number): number => {
    const middle = start + (count >> 1)
    if (count <= INSERTION_BELOW) return middle
    const last = start + count - 1
    if (count <= NINTHER_ABOVE) return median(start, middle, last)
    const eighth = count >> 3
    return median(
      median(start, start + eighth, start + 2 * eighth),
      median(middle - eighth, middle, middle + eighth),
      median(last - 2 * eighth, last - eighth, last),
    )
  }

  const count = to - from
  if (count < INSERTION_BELOW) {
    for (let i = from + 1; i < to; i++) for (let j = i; j > from && compare(at(j - 1), at(j)) > 0; j--) swap(j, j - 1)
    return list
  }
  let sorted = true
  for (let i = from + 1; sorted && i < to; i++) sorted = compare(at(i - 1), at(i)) <= 0
  if (sorted) return list

  // Equal to the pivot are gathered at both ends, [from, a) and (d, to), and swapped into the middle afterwards.
  swap(from, pivotOf(from, count))
  let a = from + 1
  let b = a
  let c = to - 1
  let d = c
  for (;;) {
    for (let order = 0; b <= c && (order = compare(at(b), at(from))) <= 0; b++) if (order === 0) swap(a++, b)
    for (let order = 0; b <= c && (order = compare(at(c), at(from))) >= 0; c--) if (order === 0) swap(c, d--)
    if (b > c) break
    swap(b++, c--)
  }
  const equalsLeft = Math.min(a - from, b - a)
  swapRange(from, b - equalsLeft, equalsLeft)
  const equalsRight = Math.min(d - c, to - d - 1)
  swapRange(b, to - equalsRight, equalsRight)
  const smaller = b - a
  const greater = d - c
  if (smaller > 1) engineeredSort(list, compare, from, from + smaller)
  if (greater > 1) engineeredSort(list, compare, to - greater, to)
  return list
}
