/** The server's log: pino, one readable line an entry on stderr, as PostgreSQL's: time, level, message, then what else is known. */
import { type Logger, pino } from 'pino'

export type Log = Logger
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const LABELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'LOG',
  40: 'WARNING',
  50: 'ERROR',
  60: 'FATAL',
}
/** Fields that pino adds or that have a place of their own. */
const PLACED = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'err', 'stack'])

interface Entry {
  readonly level: number
  readonly time: number
  readonly msg?: string
  readonly err?: { readonly message?: string; readonly stack?: string }
  readonly [field: string]: unknown
}

export function createLog(level: LogLevel, write: (text: string) => void = (text) => process.stderr.write(text)): Log {
  return pino({ level, base: null }, { write: (line: string) => write(prettyLine(JSON.parse(line) as Entry)) })
}

/** Control characters of a message are escaped: what a client sends cannot forge a line. */
function prettyLine(entry: Entry): string {
  const time = new Date(entry.time).toISOString().replace('T', ' ').replace('Z', ' UTC')
  const rest = Object.entries(entry)
    .filter(([name, value]) => !PLACED.has(name) && value !== undefined)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
  const text = escapeControls(`${entry.msg ?? entry.err?.message ?? ''}${rest}`)
  const stack = entry.err?.stack === undefined ? '' : `\n${entry.err.stack}`
  return `${time} ${LABELS[entry.level] ?? entry.level}:  ${text}${stack}\n`
}

const escapeControls = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) =>
    c === '\n' ? '\\n' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
