/** Answers that hold more than one token and its frame are no answers with tokens; evidence is not searched. */
const longestAnswer = 262_144
/** Linear in the length of the text, whatever it is. */
const betweenWords = /[^A-Za-z0-9_.-]+/

function endIn(word: string): number[] {
  const [header = '', payload = '', ...others] = word.split('.')
  if (!header.startsWith('eyJ') || others.length !== 1) return []
  const claims = jsonIn(Buffer.from(payload, 'base64url').toString())
  return typeof claims === 'object' && claims !== null && 'exp' in claims && typeof claims.exp === 'number'
    ? [claims.exp]
    : []
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/**
 * The `exp` of every token in the bytes that are about to be written, in seconds. Trusts nobody's account of the token: this is
 * the independent check of BRK-167, and looks at what the caller will see.
 */
export function endsOfTokensIn(body: string): readonly number[] {
  if (body.length > longestAnswer || !body.includes('eyJ')) return []
  return body.split(betweenWords).flatMap(endIn)
}

/** A body as it goes out. */
export interface WrittenBody {
  readonly bytes: Uint8Array
  /** `endsOfTokensIn` of it. */
  readonly ends: readonly number[]
}

const rememberedBodies = 16

/**
 * Bodies of answers in bytes, with the ends of the tokens in them. Most callers are given the bare token that the caller
 * before was given, so the last of those are remembered: the same text has the same bytes, and ends at the same time.
 */
export class WrittenTokens {
  readonly #bare = new Map<string, WrittenBody>()

  bodyOf(text: string): WrittenBody {
    const known = this.#bare.get(text)
    if (known !== undefined) return known
    const body = { bytes: Buffer.from(text), ends: endsOfTokensIn(text) }
    if (text.startsWith('eyJ')) this.#remember(text, body)
    return body
  }

  #remember(text: string, body: WrittenBody): void {
    const [oldest] = this.#bare.keys()
    if (this.#bare.size >= rememberedBodies && oldest !== undefined) this.#bare.delete(oldest)
    this.#bare.set(text, body)
  }
}
