import { equalBytes } from '../../base/bytes.ts'
import type { JsonObject } from '../../base/json.ts'
import type { TokenOffer } from '../token-offer.ts'

/** How the content of a token file is written; never with a newline at its end (BRK-110). */
export type FileFormat =
  | { readonly kind: 'text' }
  /** API-156: an object with the token in `member`, and `expires_at` in seconds. */
  | { readonly kind: 'json'; readonly member: string }
  /** API-160: a file of Envoy's secret discovery, for a secret of this name. */
  | { readonly kind: 'envoy-secret'; readonly secret: string }

type Content = Pick<TokenOffer, 'token' | 'expiresAt'>

const envoySecretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret'

function documentOf(format: Exclude<FileFormat, { kind: 'text' }>, { token, expiresAt }: Content): JsonObject {
  if (format.kind === 'json') return { [format.member]: token, expires_at: expiresAt }
  const secret = { secret: { inline_string: token } }
  return { resources: [{ '@type': envoySecretType, name: format.secret, generic_secret: secret }] }
}

/** The exact bytes of the file. */
export function encodeTokenFile(format: FileFormat, content: Content): Uint8Array {
  const text = format.kind === 'text' ? content.token : JSON.stringify(documentOf(format, content))
  return new TextEncoder().encode(text)
}

/** Most bytes of a file that may be one of ours: the longest token (BRK-100) and what a format puts around it. */
export const largestTokenFile = 65_536 + 1_024

/** A compact JWS anywhere in a text: its first part is an object, `{` and what may follow it, in base64url. */
const compactForm = /(?<![\w.-])e[w-z0-9][\w-]*\.[\w-]+\.[\w-]+/

/** What a file that was found says. */
export interface FoundToken {
  readonly token: string
  /** Whether its bytes are those that would be written today. */
  readonly isExact: (expiresAt: number) => boolean
}

/** Looks for a token in a file: null where there is none in any form, so that the file is not of our making. */
export function findToken(format: FileFormat, bytes: Uint8Array): FoundToken | null {
  const token = compactForm.exec(new TextDecoder().decode(bytes))?.[0]
  if (token === undefined) return null
  return { token, isExact: (expiresAt) => equalBytes(encodeTokenFile(format, { token, expiresAt }), bytes) }
}
