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

const forms: Readonly<Record<keyof TokenExpectations, (value: unknown) => boolean>> = {
  nonce: isText,
  eatNonce: isText,
  reportData: isReportData,
  subject: isText,
  userInfoSubject: isText,
  accessToken: isText,
  code: isText,
  acr: isText,
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
