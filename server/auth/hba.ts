/**
 * Who may connect from where, and how they prove who they are: pg_hba.conf (PostgreSQL manual, 21.1). The first record
 * that matches connection type, address, database and user decides; no match is a refusal.
 *
 *     # type   database  user  address        method
 *     host     all       all   127.0.0.1/32   scram-sha-256
 *
 * A record that cannot be honoured is an error with its line, never skipped: what it was to forbid would be allowed.
 */
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** 'default' is not written in a file: a role without a password is trusted, one with a password proves it by SCRAM. */
export type HbaMethod = 'trust' | 'reject' | 'scram-sha-256' | 'md5' | 'password' | 'default'
export type HbaConnection = 'local' | 'host' | 'hostssl' | 'hostnossl'

interface Name {
  readonly text: string
  /** Quoted names are never keywords. */
  readonly quoted: boolean
}

export interface HbaRule {
  readonly line: number
  readonly connection: HbaConnection
  readonly databases: readonly Name[]
  readonly users: readonly Name[]
  /** undefined: any address. */
  readonly addresses: BlockList | undefined
  readonly method: HbaMethod
}

export interface HbaQuestion {
  /** undefined on a Unix socket. */
  readonly address: string | undefined
  readonly encrypted: boolean
  readonly database: string
  readonly user: string
}

/** `file:line: message`, ready to be shown. */
export class HbaError extends Error {
  override readonly name = 'HbaError'
}

const METHODS: ReadonlySet<string> = new Set(['trust', 'reject', 'scram-sha-256', 'md5', 'password'])
/** PostgreSQL's other methods. */
const UNSUPPORTED_METHODS: ReadonlySet<string> = new Set([
  'gss',
  'sspi',
  'ident',
  'peer',
  'pam',
  'bsd',
  'ldap',
  'cert',
  'radius',
])
const UNSUPPORTED_CONNECTIONS: ReadonlySet<string> = new Set(['hostgssenc', 'hostnogssenc'])

/** The first rule that matches, or undefined. */
export function matchHba(rules: readonly HbaRule[], question: HbaQuestion): HbaRule | undefined {
  return rules.find((rule) => matches(rule, question))
}

function matches(rule: HbaRule, question: HbaQuestion): boolean {
  if (rule.connection === 'local') {
    if (question.address !== undefined) return false
  } else {
    if (question.address === undefined) return false
    if (rule.connection === 'hostssl' && !question.encrypted) return false
    if (rule.connection === 'hostnossl' && question.encrypted) return false
    if (rule.addresses !== undefined && !inList(rule.addresses, question.address)) return false
  }
  return (
    rule.databases.some((name) => matchesDatabase(name, question)) &&
    rule.users.some((name) => (!name.quoted && name.text === 'all') || name.text === question.user)
  )
}

function matchesDatabase(name: Name, question: HbaQuestion): boolean {
  if (!name.quoted) {
    if (name.text === 'all') return true
    if (name.text === 'sameuser') return question.database === question.user
    // Means replication connections only, and there are none.
    if (name.text === 'replication') return false
  }
  return name.text === question.database
}

/** An IPv4 address that came to an IPv6 socket is its IPv4 self. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : (address.split('%')[0] ?? address)

function inList(list: BlockList, address: string): boolean {
  const plain = plainAddress(address)
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
}

const rule = (connection: HbaConnection, method: HbaMethod, addresses?: BlockList): HbaRule => ({
  line: 0,
  connection,
  databases: [{ text: 'all', quoted: false }],
  users: [{ text: 'all', quoted: false }],
  addresses,
  method,
})

/** Without a file: this machine is trusted while a role has no password; from elsewhere a password over TLS, or as `insecure` says. */
export function defaultRules(insecure: boolean): readonly HbaRule[] {
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  const local = [rule('local', 'default'), rule('host', 'default', loopback)]
  return [...local, insecure ? rule('host', 'default') : rule('hostssl', 'scram-sha-256')]
}

/** Reads a whole file. Throws HbaError with the file's name and the line. */
export function parseHba(text: string, file: string): readonly HbaRule[] {
  const rules: HbaRule[] = []
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1
    let record = lines[i]!
    while (record.endsWith('\\') && i + 1 < lines.length) record = record.slice(0, -1) + lines[++i]!
    const fail = (message: string): never => {
      throw new HbaError(`${file}:${line}: ${message}`)
    }
    const fields = tokenize(record, fail)
    if (fields.length > 0) rules.push(parseRecord(fields, line, fail))
  }
  return rules
}

type Fail = (message: string) => never
/** One field: names separated by commas. */
type Field = readonly Name[]

function tokenize(record: string, fail: Fail): readonly Field[] {
  const fields: Name[][] = []
  let continues = false
  let at = 0
  while (at < record.length) {
    const c = record[at]!
    if (c === ' ' || c === '\t') {
      at++
      continue
    }
    if (c === '#') break
    if (c === ',') {
      if (fields.length === 0) fail('a record begins with a comma')
      continues = true
      at++
      continue
    }
    let token = ''
    let quoted = false
    while (at < record.length && !/[\s,#]/.test(record[at]!)) {
      if (record[at] !== '"') {
        token += record[at++]!
        continue
      }
      const end = record.indexOf('"', at + 1)
      if (end === -1) fail('unterminated quoted string')
      if (token === '') quoted = true
      token += record.slice(at + 1, end)
      at = end + 1
    }
    const name = { text: token, quoted }
    if (continues) fields.at(-1)!.push(name)
    else fields.push([name])
    continues = false
  }
  return fields
}

function parseRecord(fields: readonly Field[], line: number, fail: Fail): HbaRule {
  let next = 0
  const single = (field: Field, what: string): string =>
    field.length === 1 ? field[0]!.text : fail(`multiple values specified for ${what}`)
  const take = (what: string): Field => fields[next++] ?? fail(`end-of-line before ${what}`)

  const connection = single(take('connection type'), 'connection type')
  if (UNSUPPORTED_CONNECTIONS.has(connection)) fail(`connection type "${connection}" is not supported`)
  if (!isConnection(connection)) fail(`invalid connection type "${connection}"`)
  const databases = take('database specification')
  for (const name of databases) checkName(name, ['samerole', 'samegroup'], fail)
  const users = take('role specification')
  for (const name of users) checkName(name, [], fail)

  let addresses: BlockList | undefined
  if (connection !== 'local') {
    const field = take('IP address specification')
    if (field.length > 1) fail('multiple values specified for host address')
    const range = field[0]!.text.includes('/') || isIP(field[0]!.text) === 0 ? undefined : take('netmask specification')
    addresses = parseAddress(field[0]!, range === undefined ? undefined : single(range, 'netmask'), fail)
  }
  const method = single(take('authentication method'), 'authentication type')
  if (UNSUPPORTED_METHODS.has(method)) fail(`authentication method "${method}" is not supported`)
  if (!isMethod(method)) fail(`invalid authentication method "${method}"`)
  const option = fields[next]?.[0]?.text
  if (option !== undefined) {
    fail(
      option.includes('=')
        ? `authentication option "${option.slice(0, option.indexOf('='))}" is not supported`
        : `authentication option not in name=value format: ${option}`,
    )
  }
  return { line, connection: connection as HbaConnection, databases, users, addresses, method: method as HbaMethod }
}

const isConnection = (text: string): text is HbaConnection =>
  text === 'local' || text === 'host' || text === 'hostssl' || text === 'hostnossl'
const isMethod = (text: string): text is HbaMethod => METHODS.has(text)

function checkName(name: Name, keywords: readonly string[], fail: Fail): void {
  if (name.quoted) return
  if (name.text.startsWith('+')) fail(`a role's members ("${name.text}") are not supported`)
  if (name.text.startsWith('@')) fail(`a list in a file ("${name.text}") is not supported`)
  if (keywords.includes(name.text)) fail(`the keyword "${name.text}" is not supported`)
}

const FAMILY = { 4: 'ipv4', 6: 'ipv6' } as const

function parseAddress(name: Name, mask: string | undefined, fail: Fail): BlockList | undefined {
  const text = name.text
  if (!name.quoted) {
    if (text === 'all') return undefined
    if (text === 'samehost' || text === 'samenet') return ownAddresses(text === 'samenet')
  }
  const slash = text.indexOf('/')
  const address = slash === -1 ? text : text.slice(0, slash)
  const version = isIP(address)
  if (version !== 4 && version !== 6) {
    return fail(
      slash === -1
        ? `host names ("${text}") are not supported, only addresses`
        : `invalid IP address "${address}": Name or service not known`,
    )
  }
  const list = new BlockList()
  const bitsMax = version === 4 ? 32 : 128
  let bits: number
  if (slash !== -1) {
    const suffix = text.slice(slash + 1)
    bits = /^\d{1,3}$/.test(suffix) ? Number(suffix) : bitsMax + 1
    if (bits > bitsMax) fail(`invalid CIDR mask in address "${text}"`)
  } else {
    const maskVersion = isIP(mask!)
    if (maskVersion === 0) fail(`invalid IP mask "${mask}": Name or service not known`)
    if (maskVersion !== version) fail('IP address and mask do not match')
    bits =
      maskBits(mask!, version) ??
      fail(`IP mask "${mask}" is not a run of ones followed by zeros, which is not supported`)
  }
  list.addSubnet(address, bits, FAMILY[version])
  return list
}

/** 255.255.0.0 → 16, ffff:: → 16; undefined when the ones are not together. */
function maskBits(mask: string, version: 4 | 6): number | undefined {
  const text = version === 4 ? ipv4Bits(mask) : ipv6Bits(mask)
  const ones = text.indexOf('0') === -1 ? text.length : text.indexOf('0')
  return text.includes('1', ones) ? undefined : ones
}

const ipv4Bits = (address: string): string =>
  address
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')

function ipv6Bits(address: string): string {
  const [head = '', tail = ''] = address.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const missing = 8 - groups(head).length - groups(tail).length
  const all = address.includes('::')
    ? [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)]
    : groups(head)
  return all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
}

function ownAddresses(networks: boolean): BlockList {
  const list = new BlockList()
  for (const info of Object.values(networkInterfaces()).flatMap((infos) => infos ?? [])) {
    const family = info.family === 'IPv4' ? 'ipv4' : 'ipv6'
    const address = info.address.split('%')[0]!
    const bits = info.cidr?.split('/')[1]
    if (networks && bits !== undefined) list.addSubnet(address, Number(bits), family)
    else list.addAddress(address, family)
  }
  return list
}
