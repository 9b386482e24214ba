import type { KeyObject } from 'node:crypto'
import { compactVerify, errors as joseErrors } from 'jose'
import type { JsonObject } from '../base/json.ts'
import { algorithmFacts, type SignatureAlgorithm } from './algorithms.ts'

/** A compact JWS with its parts, of which nothing is believed yet. */
export interface SignedText {
  readonly text: string
  readonly header: JsonObject
  readonly signature: Uint8Array
}

/**
 * What is wrong with the signature of a compact JWS, or undefined if `key` signed exactly its text (TOK-83). `jose`
 * verifies over the exact text; a DER signature has the wrong length for the r‖s form.
 */
export async function signatureProblem(
  { text, header, signature }: SignedText,
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  /** Whose key it is, for the message. */
  holder: string,
): Promise<string | undefined> {
  const { signatureBytes } = algorithmFacts[algorithm]
  if (signatureBytes !== undefined && signature.length !== signatureBytes) {
    return `the signature has ${signature.length} bytes, not ${signatureBytes}`
  }
  try {
    await compactVerify(text, key, { algorithms: [String(header['alg'])] })
    return undefined
  } catch (error) {
    if (!(error instanceof joseErrors.JOSEError)) throw error
    return `the signature does not verify under the key of ${holder}`
  }
}
