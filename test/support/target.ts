/**
 * The server a test of clients runs against: Alopex; with TEST_TARGET=postgres, PostgreSQL 15, which shows that the test
 * itself is right.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { postgresBin, startAlopex, startPostgres, type TestServer } from './server.ts'

export const isPostgres = process.env.TEST_TARGET === 'postgres'

export const startTarget = (): Promise<TestServer> => (isPostgres ? startPostgres() : startAlopex())

/** Alopex has vectors; PostgreSQL where pgvector is installed beside it. */
export const hasVectors = !isPostgres || isPgvectorInstalled(postgresBin()!)

export function isPgvectorInstalled(bin: string): boolean {
  const shared = execFileSync(join(bin, 'pg_config'), ['--sharedir'], { encoding: 'utf8' }).trim()
  return existsSync(join(shared, 'extension', 'vector.control'))
}
