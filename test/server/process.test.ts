/** The process from its ready line to its exit code, with real signals. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { eventually, makeCertificate, psql } from './fixture.ts'
import * as raw from './raw-client.ts'
import { RawClient } from './raw-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'alopex-process-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Running {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  out: string
  err: string
}
const running: Running[] = []
afterEach(() => {
  for (const { child } of running.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
function run(args: string[]): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'process-fake.ts'), ...args], {
    env: { PATH: process.env.PATH },
    cwd: join(import.meta.dirname, '../..'),
  })
  const server: Running = {
    child,
    exited: once(child, 'exit').then(([code]) => code as number | null),
    out: '',
    err: '',
  }
  child.stdout?.on('data', (chunk: Buffer) => (server.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (server.err += chunk.toString()))
  running.push(server)
  return server
}
async function ready(args: string[]): Promise<Running & { port: number }> {
  const server = run(['--port', '0', ...args])
  await eventually(() => server.out.includes('\n') || server.child.exitCode !== null, 15_000)
  return Object.assign(server, { port: Number(/psql -h \S+ -p (\d+)/.exec(server.out)?.[1]) })
}

describe('a server process', () => {
  test('says where it is in one line; SIGTERM lets the running statement finish', async () => {
    const server = await ready(['--socket-dir', folder])
    expect(server.out).toMatch(
      /^Alopex 0\.0\.0 is ready on 127\.0\.0\.1:\d+, \S+\/\.s\.PGSQL\.\d+\. Connect with: psql -h 127\.0\.0\.1 -p \d+ -d alopex\n$/,
    )
    const local = await psql(server.port, ['-h', folder, '-At', '-c', 'select 1'])
    expect(local).toMatchObject({ code: 0, out: '1\n' })
    const idle = await RawClient.start(server.port)
    const busy = await RawClient.start(server.port)
    busy.send(raw.query('slow 300'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    server.child.kill('SIGTERM')
    const goodbye = 'E FATAL 57P01 terminating connection due to administrator command'
    expect(await idle.rest()).toEqual([goodbye, 'closed'])
    expect(await busy.rest()).toEqual(['T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I', goodbye, 'closed'])
    expect(await server.exited).toBe(0)
    expect(server.err).toContain('closed the store')
  }, 20_000)

  test('SIGINT twice exits at once', async () => {
    const server = await ready([])
    const busy = await RawClient.start(server.port)
    busy.send(raw.query('wait'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    server.child.kill('SIGINT')
    await eventually(() => server.err.includes('SIGINT: stopping'))
    server.child.kill('SIGINT')
    expect(await server.exited).toBe(1)
  }, 20_000)

  test('SIGHUP reads the HBA file again; a broken one changes nothing', async () => {
    const hba = join(folder, 'hba.conf')
    writeFileSync(hba, 'host all all all reject\n')
    const server = await ready(['--hba', hba])
    expect((await psql(server.port, ['-c', 'select 1'])).err).toContain('pg_hba.conf rejects connection')
    writeFileSync(hba, 'host all all all trust\n')
    server.child.kill('SIGHUP')
    await eventually(() => server.err.includes('were read again'))
    expect(await psql(server.port, ['-At', '-c', 'select 1'])).toMatchObject({ out: '1\n' })
    writeFileSync(hba, 'host all all nonsense\n')
    server.child.kill('SIGHUP')
    await eventually(() => server.err.includes(`nothing was changed: ${hba}:1: `))
    expect(await psql(server.port, ['-At', '-c', 'select 1'])).toMatchObject({ out: '1\n' })
    server.child.kill('SIGTERM')
    expect(await server.exited).toBe(0)
  }, 20_000)

  test('a port in use, a broken HBA file, keys that do not fit: one line and exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const hba = join(folder, 'broken.conf')
    writeFileSync(hba, '\nhosts all all all trust\n')
    const [one, two] = [
      makeCertificate(['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']),
      makeCertificate(['ed25519']),
    ]
    const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    writeFileSync(certificate, one.certificate)
    writeFileSync(key, two.key)
    const servers = [
      run(['--port', String(port)]),
      run(['--port', '0', '--hba', hba]),
      run(['--port', '0', '--tls-cert', certificate, '--tls-key', key]),
    ]
    expect(await Promise.all(servers.map(({ exited }) => exited))).toEqual([1, 1, 1])
    const lines = servers.map(({ err }) => err.replace('closed the store\n', ''))
    expect(lines[0]).toBe(
      `alopex-server: could not listen on 127.0.0.1:${port}: the address is already in use (is another server running there?)\n`,
    )
    expect(lines[1]).toBe(`alopex-server: ${hba}:2: invalid connection type "hosts"\n`)
    expect(lines[2]).toMatch(/^alopex-server: could not use the TLS certificate and key: [^\n]*\n$/)
    other.close()
  }, 20_000)
})

describe('the commands', () => {
  const bin = (path: string, ...args: string[]): string =>
    execFileSync(process.execPath, [join(import.meta.dirname, '../..', path), ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  const failing = (path: string, ...args: string[]): string => {
    try {
      bin(path, ...args)
    } catch (error) {
      return (error as { stderr: string }).stderr
    }
    throw new Error('it did not fail')
  }
  test('alopex-server', () => {
    expect(bin('server/bin/alopex-server.js', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(bin('server/bin/alopex-server.js', '--help')).toContain('Usage: alopex-server')
    expect(failing('server/bin/alopex-server.js', '--port', 'x')).toMatch(/^alopex-server: port must be [^\n]*\n$/)
  }, 20_000)
  test('alopex-cli and alopex-cluster', () => {
    for (const name of ['alopex-cli', 'alopex-cluster']) {
      expect(bin(`cluster-cli/bin/${name}.js`, '--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
      expect(bin(`cluster-cli/bin/${name}.js`)).toContain(`Usage: ${name}`)
      expect(failing(`cluster-cli/bin/${name}.js`, 'join')).toContain(`${name}: unknown command "join"`)
    }
  }, 20_000)
})
