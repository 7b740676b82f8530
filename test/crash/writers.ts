/**
 * Sixteen writers over the wire and the book of what they were told. Each transaction writes one row into each of two
 * tables and counts itself in a third, so that afterwards, whenever the server ended, for each writer
 *
 *     rows in one table = rows in the other = its counter      else a transaction was torn
 *     its counter = acknowledged, or one more                  else an acknowledged one was lost
 *
 * The one more is the transaction that was under way: committed, but its answer never came.
 */
import pg from 'pg'
import type { TestServer } from '../support/server.ts'

export const WRITERS = 16

/** For each writer, the number of its last transaction that was acknowledged. */
export type Book = number[]

export interface Verdict {
  readonly acknowledged: number
  readonly lost: number
  readonly torn: number
  /** What is wrong, in words. */
  readonly complaints: readonly string[]
}

export const connectTo = async (server: TestServer): Promise<pg.Client> => {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  client.on('error', () => {})
  await client.connect()
  return client
}

export async function openBook(server: TestServer): Promise<Book> {
  const client = await connectTo(server)
  await client.query('create table left_half (writer int, n int, filler text, primary key (writer, n))')
  await client.query('create table right_half (writer int, n int, filler text, primary key (writer, n))')
  await client.query('create table counter (writer int primary key, n int not null)')
  for (let writer = 0; writer < WRITERS; writer++) {
    await client.query('insert into counter values ($1, 0)', [writer])
  }
  await client.end()
  return Array.from({ length: WRITERS }, () => 0)
}

/**
 * Writes until the server is gone; `onFirst` is called at the first acknowledgement. The book is complete when this
 * resolves: answers that were on their way have been read. Throws what a living server answered wrongly.
 */
export async function write(server: TestServer, book: Book, onFirst: () => void): Promise<void> {
  let first: (() => void) | undefined = onFirst
  await Promise.all(
    book.map(async (_, writer) => {
      let client: pg.Client
      try {
        client = await connectTo(server)
      } catch {
        return
      }
      const statement = (name: string, text: string, values: unknown[]) => client.query({ name, text, values })
      try {
        for (;;) {
          const n = book[writer]! + 1
          const filler = 'x'.repeat((n * 37) % 400)
          await client.query('begin')
          await statement('left', 'insert into left_half values ($1, $2, $3)', [writer, n, filler])
          await statement('right', 'insert into right_half values ($1, $2, $3)', [writer, n, filler])
          await statement('count', 'update counter set n = $2 where writer = $1', [writer, n])
          const { command } = await client.query('commit')
          if (command !== 'COMMIT') throw new pg.DatabaseError(`commit answered ${command}`, 0, 'error')
          book[writer] = n
          first?.()
          first = undefined
        }
      } catch (error) {
        if (error instanceof pg.DatabaseError && error.code !== '57P01' && error.code !== '57P03') throw error
      } finally {
        client.end().catch(() => {})
      }
    }),
  )
}

/** Compares the store with the book, and sets the book to what the store holds. */
export async function compare(server: TestServer, book: Book): Promise<Verdict> {
  const client = await connectTo(server)
  const rows = async (text: string): Promise<Map<number, { count: number; last: number }>> =>
    new Map(
      (await client.query(text)).rows.map((row) => [
        Number(row.writer),
        { count: Number(row.count), last: Number(row.last) },
      ]),
    )
  const [left, right, counters] = [
    await rows('select writer, count(*) as count, max(n) as last from left_half group by writer'),
    await rows('select writer, count(*) as count, max(n) as last from right_half group by writer'),
    await rows('select writer, n as count, n as last from counter'),
  ]
  await client.end()
  const complaints: string[] = []
  let [lost, torn, acknowledged] = [0, 0, 0]
  for (const [writer, told] of book.entries()) {
    acknowledged += told
    const none = { count: 0, last: 0 }
    const [l, r, c] = [left.get(writer) ?? none, right.get(writer) ?? none, counters.get(writer)]
    const story = `writer ${writer}: ${told} acknowledged, left ${l.count} to ${l.last}, right ${r.count} to ${r.last}, counter ${c?.last}`
    const counted = c?.last ?? 0
    if (counted < told) lost += told - counted
    if ([l.count, l.last, r.count, r.last].some((n) => n !== counted) || counted > told + 1) torn++
    if (counted < told || counted > told + 1 || [l.count, l.last, r.count, r.last].some((n) => n !== counted)) {
      complaints.push(story)
    }
    book[writer] = counted
  }
  return { acknowledged, lost, torn, complaints }
}
