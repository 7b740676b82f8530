/**
 * Two servers and what is measured on them: PostgreSQL 15 and Alopex at once on one machine, each step run on one and then
 * the other, several times, so that what disturbs the machine disturbs both. A step's figure is the median of its rounds;
 * a server that fails a step has the error in its place, and the other goes on.
 */
import type { TestServer } from '../support/server.ts'

/** `postgres-1` is the same PostgreSQL without parallel workers. */
export type Contestant = 'postgres' | 'postgres-1' | 'alopex'

export interface Side {
  readonly server: TestServer
  readonly contestant: Contestant
}

export interface Step {
  readonly name: string
  readonly unit: 'tps' | 'rows/s' | 'ms' | 'MB'
  readonly better: 'more' | 'less'
  /** The ratio Alopex / PostgreSQL to reach; under it for what should be less. */
  readonly floor?: number
  readonly aim?: number
  /** An absolute figure to reach, in the unit. */
  readonly floorValue?: number
  readonly aimValue?: number
  /** Three contestants rather than two. */
  readonly oneProcess?: boolean
  /** PostgreSQL cannot do this here. */
  readonly alopexOnly?: boolean
  readonly rounds: number
  /** Rounds before, not counted. */
  readonly warmUps?: number
  /** Once on each server before the rounds. */
  prepare?(side: Side): Promise<void>
  run(side: Side): Promise<number>
}

export type Figure =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'failed'; readonly why: string }

export interface Result {
  readonly step: Step
  readonly figures: ReadonlyMap<Contestant, Figure>
}

export async function contest(
  step: Step,
  servers: readonly TestServer[],
  say: (text: string) => void,
): Promise<Result> {
  const sides: Side[] = servers.flatMap((server): Side[] => {
    if (server.kind === 'alopex') return [{ server, contestant: 'alopex' }]
    if (step.alopexOnly === true) return []
    const all: Side = { server, contestant: 'postgres' }
    return step.oneProcess === true ? [all, { server, contestant: 'postgres-1' }] : [all]
  })
  const samples = new Map<Contestant, number[]>(sides.map((side) => [side.contestant, []]))
  const failures = new Map<Contestant, string>()
  const attempt = async (side: Side, work: () => Promise<void>): Promise<void> => {
    if (failures.has(side.contestant)) return
    try {
      if (!side.server.running) await side.server.start()
      await work()
    } catch (error) {
      const ended = side.server.running ? '' : ' (the server ended)'
      failures.set(side.contestant, `${(error as Error).message.trim().split('\n')[0]}${ended}`)
    }
  }
  if (step.prepare !== undefined) {
    for (const side of sides) await attempt(side, () => step.prepare!(side))
  }
  const warmUps = step.warmUps ?? 0
  for (let round = -warmUps; round < step.rounds; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      await attempt(side, async () => {
        const value = await step.run(side)
        if (round >= 0) samples.get(side.contestant)!.push(value)
      })
    }
  }
  const figures = new Map<Contestant, Figure>()
  for (const { contestant } of sides) {
    const why = failures.get(contestant)
    figures.set(
      contestant,
      why === undefined ? { kind: 'value', value: median(samples.get(contestant)!) } : { kind: 'failed', why },
    )
  }
  const result: Result = { step, figures }
  say(`${step.name.padEnd(46)} ${[...figures].map(([name, figure]) => `${name} ${show(figure, step)}`).join('   ')}`)
  return result
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function show(figure: Figure | undefined, step: Step): string {
  if (figure === undefined) return '–'
  if (figure.kind === 'failed') return `failed: ${figure.why}`
  const { value } = figure
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits })} ${step.unit}`
}
