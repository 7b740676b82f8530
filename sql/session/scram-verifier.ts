/**
 * Passwords at rest: what ALTER ROLE … PASSWORD stores in pg_authid.rolpassword, and how it is taken apart again.
 *
 *     SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>        (RFC 5803; salt and keys in base64)
 *     md5<32 hex digits of md5(password ‖ user name)>
 *
 * From StoredKey a client's proof can be checked, but no client can be played (RFC 5802, section 3).
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import saslprep from '@mongodb-js/saslprep'

/** PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS. */
export const SCRAM_ITERATIONS = 4096
const SALT_BYTES = 16
export const SCRAM_KEY_BYTES = 32

export interface ScramVerifier {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** RFC 4013 normal form; a password that has none (prohibited characters) goes as it is, as in PostgreSQL. */
export function normalizePassword(password: string): string {
  try {
    return saslprep(password)
  } catch {
    return password
  }
}

export const hmacSha256 = (secret: Uint8Array, text: string | Uint8Array): Buffer =>
  createHmac('sha256', secret).update(text).digest()
export const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/** The verifier's text for a plain password: about 2 ms of CPU. */
export function makeScramVerifier(
  password: string,
  salt: Buffer = randomBytes(SALT_BYTES),
  iterations = SCRAM_ITERATIONS,
): string {
  const salted = pbkdf2Sync(normalizePassword(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256')
  const storedKey = sha256(hmacSha256(salted, 'Client Key'))
  const serverKey = hmacSha256(salted, 'Server Key')
  const [saltText, storedText, serverText] = [salt, storedKey, serverKey].map((b) => b.toString('base64'))
  return `SCRAM-SHA-256$${iterations}:${saltText}$${storedText}:${serverText}`
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** undefined when the text is no SCRAM verifier: then, as in PostgreSQL, it is a plain password or an md5 hash. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$([1-9]\d{0,9}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text)
  if (match === null) return undefined
  const [, iterations, salt, storedKey, serverKey] = match
  if (![salt, storedKey, serverKey].every((part) => BASE64.test(part!))) return undefined
  const verifier = {
    iterations: Number(iterations),
    salt: Buffer.from(salt!, 'base64'),
    storedKey: Buffer.from(storedKey!, 'base64'),
    serverKey: Buffer.from(serverKey!, 'base64'),
  }
  return verifier.storedKey.length === SCRAM_KEY_BYTES && verifier.serverKey.length === SCRAM_KEY_BYTES
    ? verifier
    : undefined
}

/** Whether the text is 'md5' and 32 hex digits, as password_encryption = md5 stores it. */
export const isMd5Verifier = (text: string): boolean => /^md5[0-9a-f]{32}$/.test(text)

export const makeMd5Verifier = (password: string, user: string): string =>
  `md5${createHash('md5').update(password).update(user).digest('hex')}`
