/** pg_hba.conf: what its records match, and that nothing in it is skipped silently. */
import { describe, expect, test } from 'vitest'
import { defaultRules, type HbaQuestion, matchHba, parseHba } from '../../server/auth/hba.ts'

const ask = (text: string, question: Partial<HbaQuestion>): string | undefined =>
  matchHba(parseHba(text, 'pg_hba.conf'), {
    address: '10.1.2.3',
    encrypted: false,
    database: 'd',
    user: 'u',
    ...question,
  })?.method

describe('matching', () => {
  test.each<[string, string, Partial<HbaQuestion>, string | undefined]>([
    ['first record wins', 'host all all all reject\nhost all all all trust', {}, 'reject'],
    ['comments and blanks', '# x\n\n  host all all all trust # yes', {}, 'trust'],
    ['continued line', 'host all \\\n all all trust', {}, 'trust'],
    ['tabs', 'host\tall\tall\tall\ttrust', {}, 'trust'],
    ['local is not TCP', 'local all all trust', {}, undefined],
    ['local', 'local all all trust', { address: undefined }, 'trust'],
    ['host is not local', 'host all all all trust', { address: undefined }, undefined],
    ['hostssl without', 'hostssl all all all trust', {}, undefined],
    ['hostssl with', 'hostssl all all all trust', { encrypted: true }, 'trust'],
    ['hostnossl with', 'hostnossl all all all trust', { encrypted: true }, undefined],
    ['CIDR', 'host all all 10.1.0.0/16 trust', {}, 'trust'],
    ['CIDR outside', 'host all all 10.2.0.0/16 trust', {}, undefined],
    ['mask', 'host all all 10.0.0.0 255.0.0.0 trust', {}, 'trust'],
    ['IPv6', 'host all all ::1/128 trust', { address: '::1' }, 'trust'],
    ['IPv6 mask', 'host all all fe80:: ffff:: trust', { address: 'fe80::7' }, 'trust'],
    ['IPv6 is not IPv4', 'host all all 0.0.0.0/0 trust', { address: '::1' }, undefined],
    ['IPv4 in IPv6', 'host all all 10.0.0.0/8 trust', { address: '::ffff:10.9.9.9' }, 'trust'],
    ['samehost', 'host all all samehost trust', { address: '127.0.0.1' }, 'trust'],
    ['samenet', 'host all all samenet trust', { address: '127.9.9.9' }, 'trust'],
    ['samehost outside', 'host all all samehost trust', { address: '192.0.2.1' }, undefined],
    ['databases', 'host a,d all all trust', {}, 'trust'],
    ['databases with spaces', 'host a, d all all trust', {}, 'trust'],
    ['other databases', 'host a,b all all trust', {}, undefined],
    ['sameuser', 'host sameuser all all trust', { database: 'u' }, 'trust'],
    ['sameuser not', 'host sameuser all all trust', {}, undefined],
    ['quoted keyword', 'host "all" all all trust', {}, undefined],
    ['quoted keyword as a name', 'host "all" all all trust', { database: 'all' }, 'trust'],
    ['quoted name with space', 'host all "a b" all trust', { user: 'a b' }, 'trust'],
    ['users', 'host all x,u all md5', {}, 'md5'],
    ['replication', 'host replication all all trust', { database: 'replication' }, undefined],
  ])('%s', (_, text, question, method) => {
    expect(ask(text, question)).toBe(method)
  })
})

describe('errors', () => {
  test.each([
    ['hosts all all all trust', 1, 'invalid connection type "hosts"'],
    ['\n\nhost', 3, 'end-of-line before database specification'],
    ['host all', 1, 'end-of-line before role specification'],
    ['host all all', 1, 'end-of-line before IP address specification'],
    ['host all all 10.0.0.1', 1, 'end-of-line before netmask specification'],
    ['host all all 10.0.0.1/8', 1, 'end-of-line before authentication method'],
    ['host all all 10.0.0.1/33 trust', 1, 'invalid CIDR mask in address "10.0.0.1/33"'],
    ['host all all 10.0.0/8 trust', 1, 'invalid IP address "10.0.0/8"'.replace('/8"', '"')],
    ['host all all 10.0.0.1 ffff:: trust', 1, 'IP address and mask do not match'],
    ['host all all 10.0.0.1 255.0.255.0 trust', 1, 'IP mask "255.0.255.0"'],
    ['host all all example.org trust', 1, 'host names ("example.org") are not supported'],
    ['host all all all magic', 1, 'invalid authentication method "magic"'],
    ['host all all all ldap', 1, 'authentication method "ldap" is not supported'],
    ['local all all peer', 1, 'authentication method "peer" is not supported'],
    ['host all all all trust map=x', 1, 'authentication option "map" is not supported'],
    ['host all all all trust x', 1, 'authentication option not in name=value format: x'],
    ['host all +staff all trust', 1, 'a role\'s members ("+staff") are not supported'],
    ['host all @file all trust', 1, 'a list in a file ("@file") is not supported'],
    ['host samerole all all trust', 1, 'the keyword "samerole" is not supported'],
    ['host,local all all all trust', 1, 'multiple values specified for connection type'],
    ['host "all all all trust', 1, 'unterminated quoted string'],
    ['hostgssenc all all all trust', 1, 'connection type "hostgssenc" is not supported'],
  ])('%j', (text, line, message) => {
    expect(() => parseHba(text, 'my_hba.conf')).toThrow(`my_hba.conf:${line}: ${message}`)
  })
})

describe('without a file', () => {
  const from = (insecure: boolean, address: string | undefined, encrypted = false) =>
    matchHba(defaultRules(insecure), { address, encrypted, database: 'd', user: 'u' })?.method
  test('loopback and Unix sockets trust who has no password; others need one over TLS', () => {
    expect(from(false, '127.0.0.1')).toBe('default')
    expect(from(false, '::1')).toBe('default')
    expect(from(false, undefined)).toBe('default')
    expect(from(false, '10.0.0.1')).toBeUndefined()
    expect(from(false, '10.0.0.1', true)).toBe('scram-sha-256')
    expect(from(true, '10.0.0.1')).toBe('default')
  })
})
