/**
 * What the server was told: flags over environment (ALOPEX_…) over the configuration file over defaults. Every option is
 * one row of OPTIONS and has the same name in all three; settings of the SQL level (`-c name=value`) are a table apart.
 *
 *     --log-level debug        ALOPEX_LOG_LEVEL=debug        log-level = "debug"        # alopex.toml
 *     -c work_mem=64MB                                       [settings]
 *                                                            work_mem = "64MB"
 */
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Command, CommanderError, Option } from 'commander'
import { parse as parseToml, TomlError } from 'smol-toml'
import { LOG_LEVELS, type LogLevel } from './log.ts'

/** Told wrongly: one line for the user, exit code 1. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

interface OptionRow {
  readonly name: string
  readonly kind: 'text' | 'port' | 'count' | 'flag' | 'level'
  readonly argument?: string
  readonly help: string
}

const OPTIONS = [
  { name: 'port', kind: 'port', argument: 'port', help: 'TCP port (5432)' },
  { name: 'host', kind: 'text', argument: 'address', help: 'address to listen on, * for all (127.0.0.1)' },
  { name: 'data', kind: 'text', argument: 'folder', help: 'where the store is (./data)' },
  { name: 'socket-dir', kind: 'text', argument: 'folder', help: 'also listen on a Unix socket in this folder' },
  { name: 'log-level', kind: 'level', argument: 'level', help: `${LOG_LEVELS.join(', ')} (info)` },
  { name: 'tls-cert', kind: 'text', argument: 'file', help: 'certificate chain, PEM: TLS is offered' },
  { name: 'tls-key', kind: 'text', argument: 'file', help: "the certificate's private key, PEM" },
  { name: 'hba', kind: 'text', argument: 'file', help: 'who may connect and how, as pg_hba.conf' },
  { name: 'max-connections', kind: 'count', argument: 'number', help: 'sessions at most (100)' },
  { name: 'insecure-listen', kind: 'flag', help: 'listen beyond this machine without TLS' },
] as const satisfies readonly OptionRow[]

export interface Config {
  readonly port: number
  readonly host: string
  readonly data: string
  readonly socketDir: string | undefined
  readonly logLevel: LogLevel
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly hba: string | undefined
  readonly insecureListen: boolean
  /** Server-level settings for the database, by name. */
  readonly settings: ReadonlyMap<string, string>
}

const DEFAULT_CONFIG_FILE = 'alopex.toml'

type Raw = ReadonlyMap<string, string | boolean>

/** A finished answer (--help, --version) to print instead of serving. */
export interface Answered {
  readonly text: string
}

/** `args` without node and the script. Throws ConfigError. */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): Config | Answered {
  const flags = parseFlags(args, version)
  if ('text' in flags) return flags
  const fromEnvironment = new Map<string, string>()
  for (const { name } of OPTIONS) {
    const value = environment[`ALOPEX_${name.toUpperCase().replaceAll('-', '_')}`]
    if (value !== undefined && value !== '') fromEnvironment.set(name, value)
  }
  const file = flags.config ?? environment.ALOPEX_CONFIG
  const fromFile = readFile(file)
  const value = (name: string): string | boolean | undefined =>
    flags.options.get(name) ?? fromEnvironment.get(name) ?? fromFile.options.get(name)
  const settings = new Map([...fromFile.settings, ...flags.settings])
  const text = (name: string): string | undefined => value(name)?.toString()

  const maxConnections = text('max-connections')
  if (maxConnections !== undefined) {
    settings.set('max_connections', String(integer('max-connections', maxConnections, 1, 262_143)))
  }
  const config: Config = {
    port: integer('port', text('port') ?? '5432', 0, 65_535),
    host: text('host') ?? '127.0.0.1',
    data: text('data') ?? './data',
    socketDir: text('socket-dir'),
    logLevel: level(text('log-level') ?? 'info'),
    tlsCert: text('tls-cert'),
    tlsKey: text('tls-key'),
    hba: text('hba'),
    insecureListen: boolean('insecure-listen', value('insecure-listen') ?? false),
    settings,
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    throw new ConfigError('--tls-cert and --tls-key go together')
  }
  refuseOpenListen(config)
  return config
}

interface Flags {
  readonly options: Raw
  readonly settings: ReadonlyMap<string, string>
  readonly config: string | undefined
}

function parseFlags(args: readonly string[], version: string): Flags | Answered {
  let said = ''
  const settings = new Map<string, string>()
  const command = new Command('alopex-server')
    .description('A PostgreSQL-compatible SQL server with vector columns.')
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => (said += text), writeErr: () => {} })
  for (const row of OPTIONS as readonly OptionRow[]) {
    command.addOption(new Option(row.kind === 'flag' ? `--${row.name}` : `--${row.name} <${row.argument}>`, row.help))
  }
  command.option('--config <file>', `TOML file of the same options (${DEFAULT_CONFIG_FILE}, when there is one)`)
  command.option('-c, --set <name=value>', 'a setting, as in postgresql.conf; may be repeated', (text: string) => {
    const equals = text.indexOf('=')
    if (equals <= 0) throw new ConfigError(`-c ${text} requires a value`)
    settings.set(text.slice(0, equals).trim().replaceAll('-', '_'), text.slice(equals + 1))
  })
  try {
    command.parse(args as string[], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { text: said }
    throw new ConfigError(`${error.message.replace(/^error: /, '')} (see --help)`)
  }
  const given = command.opts<Record<string, string | boolean | undefined>>()
  const options = new Map<string, string | boolean>()
  for (const { name } of OPTIONS) {
    const value = given[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]
    if (value !== undefined) options.set(name, value)
  }
  return { options, settings, config: given.config as string | undefined }
}

/** Without a name: the usual file when it is there. */
function readFile(file: string | undefined): { options: Raw; settings: ReadonlyMap<string, string> } {
  const name = file ?? DEFAULT_CONFIG_FILE
  if (file === undefined && !existsSync(name)) return { options: new Map(), settings: new Map() }
  let text: string
  try {
    text = readFileSync(name, 'utf8')
  } catch (error) {
    throw new ConfigError(`could not read ${name}: ${(error as Error).message}`)
  }
  const table = tomlTable(text, name)
  const options = new Map<string, string | boolean>()
  const settings = new Map<string, string>()
  for (const [key, value] of Object.entries(table)) {
    const where = `${name}:${lineOf(text, key)}`
    if (key === 'settings') {
      if (typeof value !== 'object' || value === null) throw new ConfigError(`${where}: settings must be a table`)
      for (const [setting, content] of Object.entries(value)) {
        settings.set(setting, scalar(content, `${name}:${lineOf(text, setting)}: ${setting}`).toString())
      }
    } else if (OPTIONS.some((row) => row.name === key)) options.set(key, scalar(value, `${where}: ${key}`))
    else throw new ConfigError(`${where}: unknown key "${key}"`)
  }
  return { options, settings }
}

function tomlTable(text: string, name: string): Record<string, unknown> {
  try {
    return parseToml(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new ConfigError(`${name}:${error.line}: ${error.message.split('\n')[0]}`)
  }
}

function scalar(value: unknown, what: string): string | boolean {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new ConfigError(`${what} must be a string, a number or a boolean`)
}

/** The parser does not keep where keys were: the first line that begins with it. */
function lineOf(text: string, key: string): number {
  const index = text.split('\n').findIndex((line) => /^[\s["]*([^\s"\]=]+)/.exec(line)?.[1] === key)
  return index + 1
}

function integer(name: string, text: string, min: number, max: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n >= min && n <= max))
    throw new ConfigError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`)
  return n
}

function boolean(name: string, value: string | boolean): boolean {
  if (typeof value === 'boolean') return value
  if (/^(?:true|on|yes|1)$/i.test(value)) return true
  if (/^(?:false|off|no|0)$/i.test(value)) return false
  throw new ConfigError(`${name} must be true or false, not "${value}"`)
}

function level(text: string): LogLevel {
  const found = LOG_LEVELS.find((name) => name === text)
  if (found === undefined) throw new ConfigError(`log-level must be one of ${LOG_LEVELS.join(', ')}, not "${text}"`)
  return found
}

/** Only this machine can reach it. */
const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

function refuseOpenListen(config: Config): void {
  if (isLoopback(config.host) || config.insecureListen || config.tlsCert !== undefined) return
  throw new ConfigError(
    `refusing to listen on ${config.host}: other machines could connect in the clear. Give --tls-cert and --tls-key (there a password is then required), or --insecure-listen`,
  )
}
