/** The results as tables of Markdown: ratios first, since absolute figures of a shared machine say little. */
import { cpus, totalmem } from 'node:os'
import { type Contestant, type Result, show } from './contest.ts'

export interface About {
  readonly mode: string
  readonly postgres: string
  readonly scale: number
}

export function report(results: readonly Result[], about: About): string {
  const pairs = results.filter(({ step }) => step.oneProcess !== true)
  const queries = results.filter(({ step }) => step.oneProcess === true)
  return `${[
    '# Beside PostgreSQL 15',
    '',
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, \`npm run bench${about.mode === '' ? '' : ` -- ${about.mode}`}\`: ` +
      `${about.postgres} with its default settings (fsync on) and Alopex on Node ${process.versions.node}, at once on ` +
      `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB of memory; the clients share ` +
      `the cores. pgbench scale ${about.scale}. Medians of interleaved rounds. A ratio is Alopex ÷ PostgreSQL.`,
    ...table(
      ['work', 'PostgreSQL 15', 'Alopex', 'ratio', 'floor', 'aim', ''],
      pairs.map((result) => [
        result.step.name,
        show(result.figures.get('postgres'), result.step),
        show(result.figures.get('alopex'), result.step),
        ratio(result, 'postgres'),
        bound(result, 'floor'),
        bound(result, 'aim'),
        verdict(result, 'postgres'),
      ]),
    ),
    ...table(
      [
        'query over pgbench_accounts',
        'PostgreSQL, 2 workers',
        'PostgreSQL, 1 process',
        'Alopex',
        'ratio to 1 process',
        'ratio to 2 workers',
        'floor',
        'aim',
        '',
      ],
      queries.map((result) => [
        result.step.name,
        show(result.figures.get('postgres'), result.step),
        show(result.figures.get('postgres-1'), result.step),
        show(result.figures.get('alopex'), result.step),
        ratio(result, 'postgres-1'),
        ratio(result, 'postgres'),
        bound(result, 'floor'),
        bound(result, 'aim'),
        verdict(result, 'postgres-1'),
      ]),
    ),
  ].join('\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return ['', line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)]
}

function value(result: Result, contestant: Contestant): number | undefined {
  const figure = result.figures.get(contestant)
  return figure?.kind === 'value' ? figure.value : undefined
}

function ratio(result: Result, to: Contestant): string {
  const ours = value(result, 'alopex')
  const theirs = value(result, to)
  return ours === undefined || theirs === undefined ? '–' : (ours / theirs).toFixed(2)
}

function bound({ step }: Result, which: 'floor' | 'aim'): string {
  const relative = step[which]
  const absolute = which === 'floor' ? step.floorValue : step.aimValue
  const sign = step.better === 'more' ? '≥' : '≤'
  if (absolute !== undefined) return `${sign} ${absolute} ${step.unit}`
  return relative === undefined ? '' : `${sign} ${relative}`
}

/** What has been reached: the aim, the floor, or neither. */
function verdict(result: Result, to: Contestant): string {
  const { step } = result
  const ours = value(result, 'alopex')
  const theirs = value(result, to)
  const reached = (relative: number | undefined, absolute: number | undefined): boolean | undefined => {
    const limit = absolute ?? (relative === undefined || theirs === undefined ? undefined : relative * theirs)
    if (limit === undefined) return undefined
    return ours !== undefined && (step.better === 'more' ? ours >= limit : ours <= limit)
  }
  if (reached(step.aim, step.aimValue) === true) return 'aim'
  const floor = reached(step.floor, step.floorValue)
  return floor === undefined ? '' : floor ? 'floor' : 'below'
}
