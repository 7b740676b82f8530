/**
 * The life of a server process: open what is behind the socket, listen, say so in one line, stop when told to.
 *
 *     SIGTERM, SIGINT   accept no more, let running statements finish (10 s), close the store, exit 0; a second one exits at once
 *     SIGHUP            read the HBA file and the TLS files again
 */
import { readFileSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import type { Database } from '../sql/session/session.ts'
import { defaultRules, HbaError, type HbaRule, parseHba } from './auth/hba.ts'
import { type Config, ConfigError } from './config.ts'
import { createListener, type ListenAddress, type Listener, type TlsFiles } from './listener.ts'
import { createLog, type Log } from './log.ts'

/** How long running statements have to finish. */
const GRACE_MS = 10_000

/** What is behind the socket. */
export interface Backend {
  readonly database: Database
  close(graceMs: number): Promise<void>
}
export type OpenBackend = (config: Config, log: Log) => Promise<Backend>

/** Resolves once the server is ready. Throws ConfigError for what the user can put right; the caller prints it. */
export async function serve(config: Config, version: string, open: OpenBackend): Promise<void> {
  const log = createLog(config.logLevel)
  const hba = readHba(config)
  const tls = readTls(config)
  const backend = await open(config, log)
  let listener: Listener
  let addresses: readonly ListenAddress[]
  try {
    listener = makeListener({ database: backend.database, log, hba, tls })
    addresses = await listenAll(listener, config)
  } catch (error) {
    await backend.close(0)
    throw error
  }
  handleSignals(config, log, listener, backend)
  process.stdout.write(`${readyLine(config, version, addresses)}\n`)
}

function makeListener(options: Parameters<typeof createListener>[0]): Listener {
  try {
    return createListener(options)
  } catch (error) {
    throw new ConfigError(`could not use the TLS certificate and key: ${(error as Error).message}`)
  }
}

function readHba(config: Config): readonly HbaRule[] {
  if (config.hba === undefined) return defaultRules(config.insecureListen)
  try {
    return parseHba(readFileSync(config.hba, 'utf8'), config.hba)
  } catch (error) {
    if (error instanceof HbaError) throw new ConfigError(error.message)
    throw new ConfigError(`could not read ${config.hba}: ${(error as Error).message}`)
  }
}

function readTls(config: Config): TlsFiles | undefined {
  if (config.tlsCert === undefined || config.tlsKey === undefined) return undefined
  try {
    return { certificate: readFileSync(config.tlsCert), key: readFileSync(config.tlsKey) }
  } catch (error) {
    throw new ConfigError(`could not read the TLS certificate or key: ${(error as Error).message}`)
  }
}

/** localhost is both of its addresses, * every address of the machine. */
async function listenAll(listener: Listener, config: Config): Promise<readonly ListenAddress[]> {
  const hosts = config.host === 'localhost' ? ['127.0.0.1', '::1'] : [config.host === '*' ? '::' : config.host]
  const bound: ListenAddress[] = []
  let port = config.port
  for (const host of hosts) {
    try {
      const address = await listener.listen({ host, port })
      if ('port' in address) port = address.port
      bound.push(address)
    } catch (error) {
      // A machine without IPv6 has only the first of localhost's addresses.
      const code = (error as NodeJS.ErrnoException).code
      if (bound.length > 0 && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) continue
      throw listenError(error as NodeJS.ErrnoException, `${host}:${port}`)
    }
  }
  if (config.socketDir !== undefined) {
    const path = `${config.socketDir}/.s.PGSQL.${port}`
    try {
      if (await isStale(path)) unlinkSync(path)
      bound.push(await listener.listen({ path }))
    } catch (error) {
      throw listenError(error as NodeJS.ErrnoException, path)
    }
  }
  return bound
}

/** A socket file that a killed server left behind: nobody answers on it. */
function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is already in use (is another server running there?)',
  EACCES: 'permission denied, or there is no such folder', // libuv says the same of both for a Unix socket
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'no such host',
  EAFNOSUPPORT: 'this machine does not speak that kind of address',
}

const listenError = (error: NodeJS.ErrnoException, where: string): ConfigError =>
  new ConfigError(`could not listen on ${where}: ${LISTEN_REASONS[error.code ?? ''] ?? error.message}`)

function readyLine(config: Config, version: string, addresses: readonly ListenAddress[]): string {
  const printed = addresses.map((address) =>
    'path' in address
      ? address.path
      : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`,
  )
  const first = addresses[0]!
  const port = 'path' in first ? config.port : first.port
  const host = config.host === '*' || config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host
  return `Alopex ${version} is ready on ${printed.join(', ')}. Connect with: psql -h ${host} -p ${port} -d alopex`
}

function handleSignals(config: Config, log: Log, listener: Listener, backend: Backend): void {
  let stopping = false
  const stop = (signal: string): void => {
    if (stopping) {
      log.warn(`${signal} again: stopping at once`)
      process.exit(1)
    }
    stopping = true
    log.info(`${signal}: stopping`)
    listener
      .close(GRACE_MS)
      .then(() => backend.close(0))
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.fatal({ err: error }, 'could not close the store in good order')
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => {
    try {
      listener.reload(readHba(config), readTls(config))
      log.info('SIGHUP: the HBA and TLS files were read again')
    } catch (error) {
      log.error(`SIGHUP: nothing was changed: ${(error as Error).message}`)
    }
  })
  const die = (error: unknown): void => {
    log.fatal({ err: error }, 'the server stops because of an error that nothing handled')
    process.exit(1)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}
