/**
 * The server a test of clients runs against: Alopex; with TEST_TARGET=postgres, PostgreSQL 15, which shows that the test
 * itself is right.
 */
import { startAlopex, startPostgres, type TestServer } from './server.ts'

export const isPostgres = process.env.TEST_TARGET === 'postgres'

export const startTarget = (): Promise<TestServer> => (isPostgres ? startPostgres() : startAlopex())
