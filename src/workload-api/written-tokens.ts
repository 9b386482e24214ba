import { AttestdError } from '../base/errors.ts'
import { parseJsonObject } from '../base/json.ts'

/** Answers that hold more than one token and its frame are no answers with tokens; evidence is not searched. */
const longestAnswer = 262_144
/** Linear in the length of the text, whatever it is. */
const betweenWords = /[^A-Za-z0-9_.-]+/

function endIn(word: string): number[] {
  const [header = '', payload = '', ...others] = word.split('.')
  if (!header.startsWith('eyJ') || others.length !== 1) return []
  try {
    const { exp } = parseJsonObject(Buffer.from(payload, 'base64url'), 'payload')
    return typeof exp === 'number' ? [exp] : []
  } catch (error) {
    if (error instanceof AttestdError) return []
    throw error
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
