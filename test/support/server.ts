/**
 * Servers for tests and benchmarks: Alopex and PostgreSQL 15 as child processes with one face, each on a free port of
 * loopback and in a folder of its own, so that the same harness runs against either.
 *
 *     const server = await startAlopex()        ready when it resolves
 *     server.port, server.pid                   connect as postgres, to the databases alopex and postgres
 *     await server.kill(); await server.start() a crash, and the same store again on the same port
 *     await server.dispose()                    stopped, and its folder gone
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestServer {
  readonly kind: 'alopex' | 'postgres'
  readonly host: string
  readonly port: number
  /** Where the store is. */
  readonly folder: string
  readonly pid: number
  /** False before the first start, after stop and kill, and when it ended by itself. */
  readonly running: boolean
  /** Starts again on the same store and port. Resolves when it is ready, with the milliseconds that took. */
  start(): Promise<number>
  /** In good order (SIGTERM, PostgreSQL: fast shutdown); resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Stops it and removes its folder, when the folder was made here. */
  dispose(): Promise<void>
}

export interface StartOptions {
  /** A folder to keep; without it, a temporary one. */
  readonly folder?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

const READY_MS_MAX = 60_000
const STOP_MS_MAX = 30_000
const SERVER = new URL('../../server/bin/alopex-server.js', import.meta.url).pathname

export async function startAlopex(options: StartOptions = {}): Promise<TestServer> {
  const server = new Alopex(options)
  await started(server)
  return server
}

/** With the settings initdb leaves behind. Throws when PostgreSQL 15 is not installed: ask `postgresBin` first. */
export async function startPostgres(options: StartOptions = {}): Promise<TestServer> {
  const server = new Postgres(options)
  await started(server)
  execFileSync(join(postgresBin()!, 'createdb'), [
    '-h',
    server.host,
    '-p',
    `${server.port}`,
    '-U',
    'postgres',
    'alopex',
  ])
  return server
}

async function started(server: TestServer): Promise<void> {
  try {
    await server.start()
  } catch (error) {
    await server.dispose()
    throw error
  }
}

/** No server outlives the process that started it. */
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** The folder of PostgreSQL 15's programs, when they are installed here. */
export function postgresBin(): string | undefined {
  const folders = [process.env.POSTGRES_BIN, '/usr/lib/postgresql/15/bin', '/usr/pgsql-15/bin', '/usr/local/pgsql/bin']
  return folders.find((folder) => folder !== undefined && existsSync(join(folder, 'initdb')))
}

/** psql or pgbench: the one of PostgreSQL 15, or the one on the PATH. */
export function clientProgram(name: 'psql' | 'pgbench'): string | undefined {
  const bin = postgresBin()
  if (bin !== undefined && existsSync(join(bin, name))) return join(bin, name)
  return (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file))
}

abstract class Child implements TestServer {
  abstract readonly kind: 'alopex' | 'postgres'
  readonly host = '127.0.0.1'
  port = 0
  readonly folder: string
  protected readonly options: StartOptions
  protected child: ChildProcess | undefined
  /** The end of what it wrote on stderr, for error messages. */
  protected said = ''

  constructor(options: StartOptions, name: string) {
    this.options = options
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), `${name}-`))
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  abstract start(): Promise<number>

  protected launch(
    program: string,
    args: readonly string[],
    identity: { uid?: number; gid?: number } = {},
  ): ChildProcess {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.options.env },
      ...identity,
    })
    this.said = ''
    child.stderr!.on('data', (chunk) => {
      this.said = (this.said + chunk).slice(-4000)
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    this.child = child
    return child
  }

  protected abstract readonly stopSignal: NodeJS.Signals

  async stop(): Promise<number | null> {
    const child = this.child
    if (child === undefined || !this.running) return child?.exitCode ?? null
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    const closed = exited(child)
    child.kill(this.stopSignal)
    await closed
    clearTimeout(timer)
    return child.exitCode
  }

  async kill(): Promise<void> {
    const child = this.child
    if (child === undefined || !this.running) return
    const closed = exited(child)
    child.kill('SIGKILL')
    await closed
  }

  async dispose(): Promise<void> {
    await this.stop()
    if (this.options.folder === undefined) rmSync(this.folder, { recursive: true, force: true })
  }
}

class Alopex extends Child {
  readonly kind = 'alopex'
  protected readonly stopSignal = 'SIGTERM'

  constructor(options: StartOptions) {
    super(options, 'alopex')
  }

  async start(): Promise<number> {
    if (this.port === 0) this.port = await freePort()
    const began = performance.now()
    const args = [SERVER, '--port', String(this.port), '--data', this.folder, ...(this.options.args ?? [])]
    const child = this.launch(process.execPath, args)
    return await new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`alopex-server ${why}: ${this.said}`))
      const timer = setTimeout(() => fail('was not ready in time'), READY_MS_MAX)
      let line = ''
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        fail(`ended with ${code ?? signal}`)
      })
      child.stdout!.on('data', (chunk) => {
        line += chunk
        const ready = / is ready on \S+?:(\d+)/.exec(line)
        if (ready === null || !line.includes('\n')) return
        clearTimeout(timer)
        this.port = Number(ready[1])
        child.stdout!.removeAllListeners('data')
        child.stdout!.resume()
        resolve(performance.now() - began)
      })
    })
  }
}

class Postgres extends Child {
  readonly kind = 'postgres'
  // Fast shutdown.
  protected readonly stopSignal = 'SIGINT'
  readonly #bin: string
  /** PostgreSQL refuses to run as root. */
  readonly #identity: { uid?: number; gid?: number }

  constructor(options: StartOptions) {
    super(options, 'postgres')
    const bin = postgresBin()
    if (bin === undefined) throw new Error('PostgreSQL 15 is not installed here')
    this.#bin = bin
    this.#identity = process.getuid?.() === 0 ? ordinaryUser() : {}
  }

  async start(): Promise<number> {
    if (!existsSync(join(this.folder, 'PG_VERSION'))) {
      const { uid, gid } = this.#identity
      if (uid !== undefined) execFileSync('chown', [`${uid}:${gid}`, this.folder])
      const args = ['-D', this.folder, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C']
      execFileSync(join(this.#bin, 'initdb'), args, { ...this.#identity, stdio: 'ignore', cwd: '/' })
    }
    if (this.port === 0) this.port = await freePort()
    // A killed postmaster's children hold the shared memory for a moment: then it is tried again.
    for (let tries = 0; ; tries++) {
      const began = performance.now()
      const args = ['-D', this.folder, '-p', `${this.port}`, '-h', this.host, '-k', this.folder]
      const child = this.launch(join(this.#bin, 'postgres'), [...args, ...(this.options.args ?? [])], this.#identity)
      let ended = false
      child.once('exit', () => {
        ended = true
      })
      while (!ended) {
        if (await answers(this.host, this.port)) return performance.now() - began
        if (performance.now() - began > READY_MS_MAX) throw new Error(`PostgreSQL was not ready in time: ${this.said}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      if (!this.said.includes('is still in use') || tries === 200) {
        throw new Error(`PostgreSQL ended: ${this.said}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const exited = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()))

function ordinaryUser(): { uid: number; gid: number } {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = ['postgres:', 'nobody:'].map((name) => lines.find((text) => text.startsWith(name))).find(Boolean)
  const [, , uid, gid] = (line ?? 'nobody:x:65534:65534').split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}

/** Whether a session can be opened: an answer of authentication, not the error that the server is starting up. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
    socket.once('connect', () => {
      const body = Buffer.from('\0\x03\0\0user\0postgres\0database\0postgres\0\0', 'latin1')
      const packet = Buffer.alloc(4 + body.length)
      packet.writeInt32BE(packet.length)
      body.copy(packet, 4)
      socket.write(packet)
    })
    socket.once('data', (chunk) => done(chunk[0] === 0x52))
  })
}
