/**
 * kill -9 at random under sixteen writers over the wire, again and again on one store: it opens each time, holds every
 * transaction that was acknowledged, and each one whole.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAlopex, type TestServer } from '../support/server.ts'
import { type Book, compare, openBook, write } from './writers.ts'

const CYCLES = 40
const KILL_AFTER_MS_MAX = 250
/** 40 s on two free cores. */
const ALL_MS_MAX = 240_000

let server: TestServer
let book: Book
beforeAll(async () => {
  server = await startAlopex()
  book = await openBook(server)
})
afterAll(() => server?.dispose())

test(
  `${CYCLES} crashes: nothing acknowledged is lost and no transaction is torn`,
  async () => {
    let before = 0
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await write(server, book, () => {
        setTimeout(() => server.kill(), Math.random() * KILL_AFTER_MS_MAX)
      })
      await server.kill()
      await server.start()
      const { acknowledged, complaints } = await compare(server, book)
      expect(complaints, `after crash ${cycle + 1}`).toEqual([])
      expect(acknowledged, `acknowledged by cycle ${cycle + 1}`).toBeGreaterThan(before)
      before = acknowledged
    }
  },
  ALL_MS_MAX,
)
