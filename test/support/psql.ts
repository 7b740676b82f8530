/** Runs psql and pgbench against a test server with a clean environment, and keeps what they printed. */
import { execFile } from 'node:child_process'
import { clientProgram, type TestServer } from './server.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  /** Goes to its stdin. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** After which it is killed. */
  readonly timeoutMs?: number
  /** Where it runs; relative names of files are meant from there. */
  readonly cwd?: string
  /** What it writes on stderr comes in `out`, in the order of writing. */
  readonly mergeErrors?: boolean
}

export function psql(
  server: TestServer,
  args: readonly string[],
  options: RunOptions & { database?: string } = {},
): Promise<Ran> {
  const at = ['-X', '-h', server.host, '-p', String(server.port), '-d', options.database ?? 'alopex']
  return runProgram('psql', [...at, ...args], options)
}

export function pgbench(server: TestServer, args: readonly string[], timeoutMs?: number): Promise<Ran> {
  const at = ['-h', server.host, '-p', String(server.port), '-U', 'postgres']
  return runProgram('pgbench', [...at, ...args, 'alopex'], timeoutMs === undefined ? {} : { timeoutMs })
}

function runProgram(name: 'psql' | 'pgbench', args: readonly string[], options: RunOptions): Promise<Ran> {
  const program = clientProgram(name)
  if (program === undefined) throw new Error(`${name} is not installed here`)
  const env = { PATH: process.env.PATH ?? '', PGUSER: 'postgres', PGCONNECT_TIMEOUT: '10', PAGER: '', ...options.env }
  return new Promise((resolve) => {
    const [file, words] =
      options.mergeErrors === true ? ['sh', ['-c', 'exec "$0" "$@" 2>&1', program, ...args]] : [program, args]
    const child = execFile(
      file,
      words,
      { env, cwd: options.cwd, maxBuffer: 1 << 29, timeout: options.timeoutMs ?? 0, killSignal: 'SIGKILL' },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ code, out, err: error?.killed ? `${err}(killed after ${options.timeoutMs} ms)` : err })
      },
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}
