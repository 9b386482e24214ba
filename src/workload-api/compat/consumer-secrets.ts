import { createHash, timingSafeEqual } from 'node:crypto'
import { MalformedError } from '../../base/errors.ts'
import { workloadApiErrors } from '../errors.ts'

/** The secret of one declared consumer, as it is kept: SHA-256 of its text. */
export interface ConsumerSecret {
  readonly consumer: string
  readonly digest: Uint8Array
}

const secretForm = /^[A-Za-z0-9_+/-]{43,512}={0,2}$/
const digestForm = /^sha256:([0-9a-f]{64})$/
/** Texts of one alphabet hold fewer bits a character: 256 bits are 64 hexadecimal digits, 52 of base32, 43 of base64. */
const alphabets = [
  { of: /^(?:[0-9a-f]+|[0-9A-F]+)$/, characters: 64 },
  { of: /^(?:[a-z0-9]+|[A-Z0-9]+)=*$/, characters: 52 },
] as const
/** A random text has more; a placeholder that somebody typed has not. */
const leastDifferent = 10

const digestOf = (text: string) => new Uint8Array(createHash('sha256').update(text, 'utf8').digest())

function requireSecret(text: string, path: string): void {
  if (!secretForm.test(text)) {
    throw new MalformedError({ path }, 'is not one line of 43 to 512 characters of base64url, base64 or hexadecimal')
  }
  const needed = alphabets.find(({ of }) => of.test(text))?.characters ?? 43
  if (text.length < needed || new Set(text).size < leastDifferent) {
    throw new MalformedError({ path }, 'holds less than 256 random bits')
  }
}

/**
 * Parses the content of a secret's file: the secret itself, or `sha256:` and the hexadecimal digest of its text; one
 * newline at the end is not part of it. The secret has at least 256 bits, as far as its form can tell (API-150). Gives its
 * digest; throws `MalformedError`, which never quotes the content.
 */
export function parseConsumerSecret(content: Uint8Array, path: string): Uint8Array {
  const text = new TextDecoder('latin1').decode(content).replace(/\n$/, '')
  const [, digest] = digestForm.exec(text) ?? []
  if (digest !== undefined) return new Uint8Array(Buffer.from(digest, 'hex'))
  requireSecret(text, path)
  return digestOf(text)
}

/**
 * The secrets of a surface's consumers (API-124, API-150). Only digests are kept, and a text is compared with all of them,
 * each in constant time: neither how far it is right nor whose it is shows in how long that takes.
 */
export class ConsumerSecrets {
  #secrets: readonly ConsumerSecret[]

  /** Names and digests are each other's only ones; the configuration has seen to that. */
  constructor(secrets: readonly ConsumerSecret[]) {
    const digests = secrets.map(({ digest }) => Buffer.from(digest).toString('hex'))
    const names = secrets.map(({ consumer }) => consumer)
    if (new Set(digests).size !== digests.length || new Set(names).size !== names.length) {
      throw new TypeError('two consumers have one name or one secret')
    }
    this.#secrets = secrets
  }

  /** Whose secret this is; null: nobody's. */
  consumerOf(presented: string): string | null {
    const digest = digestOf(presented)
    let found: string | null = null
    for (const { consumer, digest: own } of this.#secrets) if (timingSafeEqual(own, digest)) found = consumer
    return found
  }

  /**
   * Whose secret the request brought; null stands for none, and for a header that was sent twice. Throws
   * `consumer_unknown` unless it is that of a consumer, and of `consumer` where one is named.
   */
  requireConsumer(presented: string | null, consumer: string | null = null): string {
    const found = presented === null ? null : this.consumerOf(presented)
    if (found !== null && (consumer === null || found === consumer)) return found
    throw workloadApiErrors.error('consumer_unknown', 'the request brings no secret, or not the right one')
  }
}

/** The secret in `Authorization: Bearer …` (RFC 6750): the scheme in any case, one space; null for anything else. */
export function bearerSecret(authorization: string | null): string | null {
  return /^bearer ([\x21-\x7e]{1,1024})$/i.exec(authorization ?? '')?.[1] ?? null
}
