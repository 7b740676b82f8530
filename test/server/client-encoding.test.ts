/** Clients that do not speak UTF-8: what they write is read, and what they read is written, by their client_encoding. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAlopex, type TestServer } from '../support/server.ts'
import { bind, copyDone, describe_, execute, message, parse, RawClient, show, sync } from './raw-client.ts'

let server: TestServer
let client: RawClient
beforeAll(async () => {
  server = await startAlopex()
  client = await RawClient.start(server.port, { user: 'postgres', database: 'postgres', client_encoding: 'latin1' })
}, 60_000)
afterAll(async () => {
  client.socket.destroy()
  await server.dispose()
})

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What comes up to ReadyForQuery, bytes as Latin-1. */
async function answers(): Promise<string[]> {
  const lines: string[] = []
  for (;;) {
    const received = await client.next()
    if (received === undefined || received.type === 'Z') return lines
    const { type, body } = received
    if (type === 'T') lines.push(`T ${body.toString('latin1', 2, body.indexOf(0, 2))}`)
    else if (type === 'S') continue
    else if (type === 'd' || type === 'C') lines.push(`${type} ${body.toString('latin1').replaceAll('\0', '')}`)
    else if (type === 'E' || type === 'N') {
      const fields = body.toString('latin1').split('\0')
      lines.push(`${type} ${fields.filter((field) => /^[CM]/.test(field)).join(' ')}`)
    } else lines.push(show(received))
  }
}
const ask = (sql: string): Promise<string[]> => {
  client.send(message('Q', latin1(`${sql}\0`)))
  return answers()
}

test('statements, names, values and messages', async () => {
  expect(await ask('create table "Möbel" ("größe" text)')).toEqual(['C CREATE TABLE'])
  expect(await ask(`insert into "Möbel" values ('äöü')`)).toEqual(['C INSERT 0 1'])
  expect(await ask('select "größe" from "Möbel"')).toEqual(['T größe', 'D äöü', 'C SELECT 1'])
  expect(await ask('select octet_length("größe") from "Möbel"')).toEqual(['T octet_length', 'D 6', 'C SELECT 1'])
  expect(await ask('select * from "nöpe"')).toEqual(['E C42P01 Mrelation "nöpe" does not exist'])
})

test('what the set has not', async () => {
  const refused =
    'E C22P05 Mcharacter with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1"'
  expect((await ask('select chr(8364)')).at(-1)).toBe(refused)
  expect(await ask(`do $$ begin raise notice '%', chr(8364); end $$`)).toEqual([refused])
  expect(await ask('select 1')).toEqual(['T ?column?', 'D 1', 'C SELECT 1'])
})

test('the extended protocol', async () => {
  client.send(parse('', 'select $1::text as "ä"', []), bind('', '', [latin1('é')]), describe_('P'), execute(), sync)
  // The raw client writes its statement in UTF-8: two characters here.
  expect(await answers()).toEqual(['1', '2', 'T Ã¤', 'D é', 'C SELECT 1'])
})

test('COPY both ways, and its own ENCODING', async () => {
  expect(await ask('copy "Möbel" to stdout')).toEqual(['H 0 1', 'd äöü\n', 'c', 'C COPY 1'])
  expect(await ask(`copy "Möbel" to stdout (encoding 'utf8')`)).toEqual(['H 0 1', 'd Ã¤Ã¶Ã¼\n', 'c', 'C COPY 1'])
  client.send(message('Q', latin1('copy "Möbel" from stdin\0')), message('d', latin1('é\n')), copyDone)
  expect(await answers()).toEqual(['G 0 1', 'C COPY 1'])
  expect(await ask('select octet_length("größe") from "Möbel" where "größe" = \'é\'')).toContain('D 2')
})

test('another set from one statement to the next', async () => {
  await ask('set client_encoding = win1252')
  expect(await ask('select chr(8364)')).toEqual(['T chr', 'D \x80', 'C SELECT 1'])
  expect((await ask("select '\x81'"))[0]).toBe(
    'E C22P05 Mcharacter with byte sequence 0x81 in encoding "WIN1252" has no equivalent in encoding "UTF8"',
  )
  await ask('set client_encoding = koi8r')
  expect(await ask('select chr(1078)')).toEqual(['T chr', 'D \xd6', 'C SELECT 1'])
  await ask('set client_encoding = utf8')
  expect(await ask('select chr(233)')).toEqual(['T chr', 'D Ã©', 'C SELECT 1'])
  expect((await ask('set client_encoding = sjis'))[0]).toContain('C0A000')
})
