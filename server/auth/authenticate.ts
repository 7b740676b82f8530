/**
 * Proves that a client is the role it names, by the method its HBA record asks for (PostgreSQL manual, 55.2.1 and 55.3).
 * Returns when it has; throws FATAL 28P01, 28000 or 08P01 as PostgreSQL words them. What the client is not told (no such
 * role, no password, expired) goes to the log.
 */
import { createHash, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import {
  hmacSha256,
  isMd5Verifier,
  makeMd5Verifier,
  normalizePassword,
  parseScramVerifier,
  SCRAM_KEY_BYTES,
  type ScramVerifier,
  sha256,
} from '../../sql/session/scram-verifier.ts'
import type { Role } from '../../sql/session/session.ts'
import { type SqlError, sqlError } from '../../sql/types/error.ts'
import type { AuthenticationRequest } from '../wire/messages.ts'
import { decodeText } from '../wire/reader.ts'
import type { HbaMethod } from './hba.ts'
import { SCRAM, SCRAM_PLUS, startScram } from './scram.ts'

export interface Applicant {
  readonly user: string
  readonly role: Role | undefined
  /** The certificate's hash on an encrypted connection whose certificate allows channel binding. */
  readonly endPointHash: Buffer | undefined
  send(request: AuthenticationRequest): void
  /** The body of the client's next password message. `expected` names it in the error when something else comes. */
  receive(expected: 'password response' | 'SASL response'): Promise<Buffer>
  /** For the server's log only. */
  remark(detail: string): void
}

const PASSWORD_BYTES_MAX = 1024
const derive = promisify(pbkdf2)

export async function authenticate(method: Exclude<HbaMethod, 'reject'>, applicant: Applicant): Promise<void> {
  const { role, user } = applicant
  const stored = role === undefined ? undefined : usablePassword(role, applicant)
  switch (method) {
    case 'trust':
      return
    case 'default':
      if (role === undefined || role.password === undefined) return
      return isMd5Verifier(role.password) ? md5(stored, applicant) : scram(stored, applicant)
    case 'scram-sha-256':
      return scram(stored, applicant)
    case 'md5':
      return stored !== undefined && isMd5Verifier(stored) ? md5(stored, applicant) : scram(stored, applicant)
    case 'password': {
      applicant.send({ kind: 'cleartext' })
      const password = passwordText(await applicant.receive('password response'))
      if (stored === undefined || !(await matchesPlain(stored, user, password))) throw refused(user)
    }
  }
}

function usablePassword(role: Role, applicant: Applicant): string | undefined {
  if (role.password === undefined) applicant.remark(`User "${role.name}" has no password assigned.`)
  else if (role.validUntil !== undefined && role.validUntil.getTime() < Date.now()) {
    applicant.remark(`User "${role.name}" has an expired password.`)
    return undefined
  }
  return role.password
}

const refused = (user: string): SqlError =>
  sqlError('28P01', `password authentication failed for user "${user}"`, { severity: 'FATAL' })
const violation = (message: string, detail?: string): SqlError =>
  sqlError('08P01', message, { severity: 'FATAL', ...(detail === undefined ? {} : { detail }) })

async function scram(stored: string | undefined, applicant: Applicant): Promise<void> {
  const { user, endPointHash } = applicant
  const verifier: ScramVerifier | undefined = stored === undefined ? undefined : parseScramVerifier(stored)
  if (stored !== undefined && verifier === undefined) {
    applicant.remark(`User "${user}" does not have a valid SCRAM secret.`)
  }
  applicant.send({ kind: 'sasl', mechanisms: endPointHash === undefined ? [SCRAM] : [SCRAM_PLUS, SCRAM] })
  const { mechanism, data } = readInitialResponse(await applicant.receive('SASL response'), endPointHash !== undefined)
  // A client may leave its first message out and send it when asked (RFC 4422); an empty challenge asks.
  let first = data
  if (first === undefined) {
    applicant.send({ kind: 'sasl-continue', data: '' })
    first = saslText(await applicant.receive('SASL response'))
  }
  const challenge = startScram(first, { mechanism, verifier, user, endPointHash })
  applicant.send({ kind: 'sasl-continue', data: challenge.serverFirst })
  const final = challenge.finish(saslText(await applicant.receive('SASL response')))
  if (final === undefined) throw refused(user)
  applicant.send({ kind: 'sasl-final', data: final })
}

/** Mechanism\0, then the length (-1: none) and bytes of the first SCRAM message. */
function readInitialResponse(
  body: Buffer,
  bindable: boolean,
): { mechanism: typeof SCRAM | typeof SCRAM_PLUS; data: string | undefined } {
  const end = body.indexOf(0)
  const mechanism = body.toString('latin1', 0, Math.max(end, 0))
  if (mechanism !== SCRAM && !(bindable && mechanism === SCRAM_PLUS)) {
    throw violation('client selected an invalid SASL authentication mechanism')
  }
  if (body.length < end + 5) throw violation('insufficient data left in message')
  const length = body.readInt32BE(end + 1)
  if (length !== -1 && length !== body.length - end - 5) throw violation('invalid message format')
  return {
    mechanism,
    data: length === -1 ? undefined : saslText(body.subarray(end + 5)),
  }
}

function saslText(body: Buffer): string {
  if (body.length === 0) throw violation('malformed SCRAM message', 'The message is empty.')
  if (body.includes(0)) throw violation('malformed SCRAM message', 'Message length does not match input length.')
  return decodeText(body, 0, body.length)
}

async function md5(stored: string | undefined, applicant: Applicant): Promise<void> {
  const salt = randomBytes(4)
  applicant.send({ kind: 'md5', salt })
  const answer = passwordText(await applicant.receive('password response'))
  if (stored === undefined) throw refused(applicant.user)
  const right = `md5${createHash('md5').update(stored.slice(3)).update(salt).digest('hex')}`
  if (!equalText(answer, right)) throw refused(applicant.user)
}

function passwordText(body: Buffer): string {
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) throw violation('invalid password packet size')
  if (body.length > PASSWORD_BYTES_MAX) throw violation('invalid password packet size')
  if (body.length === 1) throw sqlError('28P01', 'empty password returned by client', { severity: 'FATAL' })
  return decodeText(body, 0, body.length - 1)
}

async function matchesPlain(stored: string, user: string, password: string): Promise<boolean> {
  const verifier = parseScramVerifier(stored)
  if (verifier === undefined) {
    return isMd5Verifier(stored) && equalText(makeMd5Verifier(password, user), stored)
  }
  const salted = await derive(
    normalizePassword(password),
    verifier.salt,
    verifier.iterations,
    SCRAM_KEY_BYTES,
    'sha256',
  )
  return timingSafeEqual(sha256(hmacSha256(salted, 'Client Key')), verifier.storedKey)
}

const equalText = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
