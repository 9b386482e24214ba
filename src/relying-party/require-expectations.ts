import { isFilledWith } from '../base/bytes.ts'
import { padHex } from './require-trust.ts'
import type { TokenExpectations } from './token-trust.ts'

/** Expectations in the form in which the checks use them. */
export interface Expected extends Omit<TokenExpectations, 'reportData'> {
  /** 128 hexadecimal digits. */
  readonly reportData?: string
}

const isText = (value: unknown) => typeof value === 'string' && value !== ''
const isReportData = (value: unknown) =>
  value instanceof Uint8Array && value.length >= 1 && value.length <= 64 && !isFilledWith(value, 0)

const areTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string')

/** What a client controls, scheme and proofs, may be anything; what the service says of the request may not. */
function isPresentedProof(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { scheme, proofs, method, url, nonces, ...others } = value as Readonly<Record<string, unknown>>
  const demanded = !('nonces' in value) || (areTexts(nonces) && Array.isArray(nonces) && nonces.every(isText))
  return (
    typeof scheme === 'string' &&
    areTexts(proofs) &&
    isText(method) &&
    isText(url) &&
    demanded &&
    Object.keys(others).length === 0
  )
}

const forms: Readonly<Record<keyof TokenExpectations, (value: unknown) => boolean>> = {
  nonce: isText,
  eatNonce: isText,
  reportData: isReportData,
  subject: isText,
  userInfoSubject: isText,
  accessToken: isText,
  code: isText,
  acr: isText,
  possession: isPresentedProof,
  maxAgeS: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
}

/**
 * Refuses, as a bug of the caller (`TypeError`), what would quietly switch a check off: `{ eatNonce: session.nonce }`
 * where the session has none, a misspelled name, an empty nonce, report data that any quote could have.
 */
export function requireExpectations(expectations: TokenExpectations): Expected {
  for (const [name, value] of Object.entries(expectations)) {
    const form = Object.hasOwn(forms, name) ? forms[name as keyof TokenExpectations] : undefined
    if (form === undefined) throw new TypeError(`there is no expectation '${name}'`)
    if (!form(value))
      throw new TypeError(`expectation '${name}' has no usable value: leave it out if nothing is expected`)
  }
  const { reportData, ...others } = expectations
  return reportData === undefined ? others : { ...others, reportData: padHex(reportData, 64) }
}
