/** A listener over the fake database on a free port, for one test file. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultRules, type HbaRule } from '../../server/auth/hba.ts'
import { createListener, type Listener, type TlsFiles } from '../../server/listener.ts'
import { createLog } from '../../server/log.ts'
import { FakeDatabase } from './fake-session.ts'

export interface Served {
  readonly port: number
  readonly database: FakeDatabase
  readonly listener: Listener
  /** Lines the server logged. */
  readonly logged: string[]
}

export async function serveFake(
  options: {
    database?: FakeDatabase
    hba?: readonly HbaRule[]
    tls?: TlsFiles
    messageBytesMax?: number
    pump?: boolean
  } = {},
): Promise<Served> {
  const logged: string[] = []
  const database = options.database ?? new FakeDatabase()
  const listener = createListener({
    database,
    log: createLog('debug', (line) => logged.push(line)),
    hba: options.hba ?? defaultRules(false),
    tls: options.tls,
    ...(options.pump === undefined ? {} : { pump: options.pump }),
    ...(options.messageBytesMax === undefined ? {} : { messageBytesMax: options.messageBytesMax }),
  })
  const address = await listener.listen({ host: '127.0.0.1', port: 0 })
  return { port: 'port' in address ? address.port : 0, database, listener, logged }
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** psql with a clean environment; `input` goes to its stdin. */
export function psql(
  port: number,
  args: readonly string[],
  env: Record<string, string> = {},
  input = '',
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      'psql',
      ['-X', '-h', '127.0.0.1', '-p', String(port), ...args],
      {
        env: {
          PATH: process.env.PATH ?? '',
          PGUSER: 'postgres',
          PGDATABASE: 'postgres',
          PGCONNECT_TIMEOUT: '10',
          ...env,
        },
        maxBuffer: 1 << 28,
      },
      (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    )
    child.stdin?.end(input)
  })
}

/** A self-signed certificate for localhost. */
export function makeCertificate(key: readonly string[] = ['rsa:2048', '-sha256']): TlsFiles {
  const folder = mkdtempSync(join(tmpdir(), 'alopex-tls-'))
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', ...key, '-nodes', '-days', '2', '-subj', '/CN=localhost'].concat([
        '-keyout',
        join(folder, 'key.pem'),
        '-out',
        join(folder, 'cert.pem'),
      ]),
      { stdio: 'ignore' },
    )
    return { certificate: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Waits until `condition` holds; throws after `ms`. */
export async function eventually(condition: () => boolean, ms = 5000): Promise<void> {
  const until = Date.now() + ms
  while (!condition()) {
    if (Date.now() > until) throw new Error('the condition was not met in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
