import {
  createPrivateKey,
  type ECKeyPairOptions,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  type RSAKeyPairOptions,
} from 'node:crypto'

/**
 * In Node 20 a key that was just generated must not be asked for its JWK or its details: both hold the lock of the key while
 * they take memory, and if garbage is collected then, the job that made the key waits for the same lock, in the same
 * thread, for ever. So keys are generated as DER, and what reads it again shares nothing with the job.
 */
const asDer = {
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'der' },
} as const

export type KeyKind =
  | { readonly type: 'ed25519' }
  | { readonly type: 'ec'; readonly namedCurve: string }
  | { readonly type: 'rsa'; readonly modulusLength: number }

function privateKeyOf(der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}

function generate(kind: KeyKind, done: (error: Error | null, publicKey: Buffer, privateKey: Buffer) => void): void {
  if (kind.type === 'ed25519') generateKeyPair('ed25519', asDer, done)
  else if (kind.type === 'ec') generateKeyPair('ec', { namedCurve: kind.namedCurve, ...asDer }, done)
  else generateKeyPair('rsa', { modulusLength: kind.modulusLength, publicExponent: 65537, ...asDer }, done)
}

/** A new private key, made off the event loop. */
export function generatePrivateKey(kind: KeyKind): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generate(kind, (error, _, der) => (error ? reject(error) : resolve(privateKeyOf(der))))
  })
}

/** A new private key on P-256, made at once: some tens of microseconds. */
export function newP256Key(): KeyObject {
  const options: ECKeyPairOptions<'der', 'der'> = { namedCurve: 'P-256', ...asDer }
  return privateKeyOf(generateKeyPairSync('ec', options).privateKey)
}

/** A new RSA key with 2048 bits, made at once: for doubles and tools, which may wait. */
export function newRsaKey(): KeyObject {
  const options: RSAKeyPairOptions<'der', 'der'> = { modulusLength: 2048, ...asDer }
  return privateKeyOf(generateKeyPairSync('rsa', options).privateKey)
}
