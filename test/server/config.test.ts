/** Flags over environment over file over defaults; what is wrong is said with its place. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Config, readConfig } from '../../server/config.ts'
import { createLog } from '../../server/log.ts'

const folder = mkdtempSync(join(tmpdir(), 'alopex-config-'))
afterAll(() => rmSync(folder, { recursive: true }))
function file(text: string): string {
  const path = join(folder, 'alopex.toml')
  writeFileSync(path, text)
  return path
}
const read = (args: string[], environment: Record<string, string> = {}): Config => {
  const config = readConfig(args, environment, '1.2.3')
  if ('text' in config) throw new Error(config.text)
  return config
}

describe('precedence', () => {
  test('defaults', () => {
    expect(read([])).toMatchObject({
      port: 5432,
      host: '127.0.0.1',
      data: './data',
      logLevel: 'info',
      insecureListen: false,
    })
  })
  test('flags over environment over file', () => {
    const config = file(
      'port = 1\nhost = "127.0.0.2"\ndata = "from-file"\nlog-level = "warn"\n[settings]\nwork_mem = "1MB"\ngeqo = false\n',
    )
    expect(
      read(['--config', config, '--port', '3', '-c', 'work_mem=2MB', '-c', 'search-path=a,b'], {
        ALOPEX_PORT: '2',
        ALOPEX_HOST: '127.0.0.3',
        ALOPEX_LOG_LEVEL: '',
      }),
    ).toMatchObject({
      port: 3,
      host: '127.0.0.3',
      data: 'from-file',
      logLevel: 'warn',
      settings: new Map([
        ['work_mem', '2MB'],
        ['geqo', 'false'],
        ['search_path', 'a,b'],
      ]),
    })
    expect(read([], { ALOPEX_CONFIG: config }).port).toBe(1)
  })
  test('max-connections is a setting', () => {
    expect(read(['--max-connections', '7']).settings.get('max_connections')).toBe('7')
    expect(read([], { ALOPEX_MAX_CONNECTIONS: '8' }).settings.get('max_connections')).toBe('8')
  })
  test('help and version', () => {
    expect(readConfig(['--version'], {}, '1.2.3')).toEqual({ text: '1.2.3\n' })
    const help = readConfig(['--help'], {}, '1.2.3')
    for (const word of [
      '--port',
      '--host',
      '--data',
      '--config',
      '--log-level',
      '--tls-cert',
      '--hba',
      '--insecure-listen',
      '-c, --set',
    ]) {
      expect('text' in help && help.text).toContain(word)
    }
  })
})

describe('errors', () => {
  test.each([
    [['--prot', '1'], "unknown option '--prot'"],
    [['--port'], "option '--port <port>' argument missing"],
    [['--port', 'x'], 'port must be a whole number from 0 to 65535, not "x"'],
    [['--port', '70000'], 'port must be a whole number from 0 to 65535'],
    [['--log-level', 'loud'], 'log-level must be one of'],
    [['-c', 'nonsense'], '-c nonsense requires a value'],
    [['extra'], 'too many arguments'],
    [['--tls-cert', 'x'], '--tls-cert and --tls-key go together'],
    [['--config', '/no/such/file'], 'could not read /no/such/file'],
    [['--host', '0.0.0.0'], 'refusing to listen on 0.0.0.0'],
    [['--host', '*'], 'refusing to listen on *'],
    [['--host', '192.0.2.1'], 'refusing to listen on 192.0.2.1'],
  ])('%j', (args, message) => {
    expect(() => read(args)).toThrow(message)
  })
  test('beyond this machine by TLS or on demand', () => {
    expect(read(['--host', '0.0.0.0', '--insecure-listen']).insecureListen).toBe(true)
    expect(read(['--host', '0.0.0.0', '--tls-cert', 'c', '--tls-key', 'k']).tlsCert).toBe('c')
  })
  test.each([
    ['port = 1\nprot = 2\n', ':2: unknown key "prot"'],
    ['[setings]\nx = 1\n', ':1: unknown key "setings"'],
    ['port = [1]\n', ':1: port must be a string, a number or a boolean'],
    ['[settings]\nx = {}\n', ':2: x must be a string, a number or a boolean'],
    ['port = \n', ':1: Invalid TOML document'],
  ])('in the file: %j', (text, message) => {
    expect(() => read(['--config', file(text)])).toThrow(`alopex.toml${message}`)
  })
})

test('the log: one line an entry, whatever is in it', () => {
  const lines: string[] = []
  const log = createLog('info', (line) => lines.push(line))
  log.debug('hidden')
  log.info({ user: 'x', n: 1 }, 'hello\nFATAL:  forged\u001b[2J')
  log.error({ err: new Error('a reason') }, 'it broke')
  expect(lines[0]).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC LOG: {2}hello\\nFATAL: {2}forged\\x1b\[2J user=x n=1\n$/,
  )
  expect(lines[1]).toMatch(/ERROR: {2}it broke\nError: a reason\n {4}at /)
  expect(lines).toHaveLength(2)
})
