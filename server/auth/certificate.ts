/**
 * tls-server-end-point (RFC 5929): the server certificate's hash, by the hash function of its own signature, MD5 and SHA-1
 * replaced by SHA-256. Node does not tell the signature algorithm, so it is read from the DER:
 *
 *     Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, … }, … }
 */
import { createHash, X509Certificate } from 'node:crypto'

/** Signature algorithms by the DER of their OID, in hex. */
const HASHES: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

/** undefined when the signature names no hash (Ed25519, RSA-PSS): then channel binding is not offered. */
export function endPointHash(certificatePem: string | Buffer): Buffer | undefined {
  const der = new X509Certificate(certificatePem).raw
  const certificate = element(der, 0)
  const signed = element(der, certificate.start)
  const algorithm = element(der, signed.end)
  const name = element(der, algorithm.start)
  const hash = HASHES[der.subarray(name.start, name.end).toString('hex')]
  return hash === undefined ? undefined : createHash(hash).update(der).digest()
}

/** Where the contents of the DER element at `at` lie. */
function element(der: Buffer, at: number): { start: number; end: number } {
  const first = der[at + 1]!
  if (first < 0x80) return { start: at + 2, end: at + 2 + first }
  const bytes = first & 0x7f
  const length = der.readUIntBE(at + 2, bytes)
  return { start: at + 2 + bytes, end: at + 2 + bytes + length }
}
