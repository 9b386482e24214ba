import { MalformedError } from '../../base/errors.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import { parseCrl } from '../../base/pki/revocation-list.ts'
import { parseQeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import { parseTcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import type { ItemKey } from './item-key.ts'
import type { Tee } from './query.ts'

/** A document that Intel signed: TCB info or QE identity. */
export interface SignedDocument {
  readonly kind: 'tcb-info' | 'qe-identity'
  /** The exact text that was signed (TDX-202). */
  readonly text: string
  /** Raw r and s: 128 lower-case hexadecimal digits. */
  readonly signature: string
  /** PEM: TCB signer, root. */
  readonly issuerChain: string
}

/** A revocation list. */
export interface RevocationItem {
  readonly kind: 'pck-crl' | 'root-crl'
  readonly der: Uint8Array
  /** PEM: PCK CA, root; null for the root's own list. */
  readonly issuerChain: string | null
}

/** What one request of the provisioning interface brings. Nothing of it is verified. */
export type CollateralItem = SignedDocument | RevocationItem

/** What an item says about its own life. */
export interface ItemFacts {
  /** Milliseconds since the epoch: issueDate or thisUpdate. */
  readonly issueDate: number
  readonly nextUpdate: number
  /** tcbEvaluationDataNumber or cRLNumber. */
  readonly number: bigint
}

const mismatch = (path: string, says: string) => new MalformedError({ path }, says)

function tcbInfoFacts(text: string, key: ItemKey & { readonly kind: 'tcb-info' }): ItemFacts {
  const { id, fmspc, issueDate, nextUpdate, tcbEvaluationDataNumber } = parseTcbInfo(text)
  if (id.toLowerCase() !== key.tee) throw mismatch('tcbInfo.id', `is ${id}; asked for was ${key.tee}`)
  if (fmspc !== key.fmspc) throw mismatch('tcbInfo.fmspc', `is ${fmspc}; asked for was ${key.fmspc}`)
  return { issueDate, nextUpdate, number: BigInt(tcbEvaluationDataNumber) }
}

const identityIds: Readonly<Record<Tee, string>> = { sgx: 'QE', tdx: 'TD_QE' }

function qeIdentityFacts(text: string, key: ItemKey & { readonly kind: 'qe-identity' }): ItemFacts {
  const { id, issueDate, nextUpdate, tcbEvaluationDataNumber } = parseQeIdentity(text)
  if (id !== identityIds[key.tee])
    throw mismatch('enclaveIdentity.id', `is ${id}; asked for was ${identityIds[key.tee]}`)
  return { issueDate, nextUpdate, number: BigInt(tcbEvaluationDataNumber) }
}

const issuerNames = {
  platform: 'Intel SGX PCK Platform CA',
  processor: 'Intel SGX PCK Processor CA',
  root: 'Intel SGX Root CA',
} as const

function revocationFacts(der: Uint8Array, key: ItemKey & { readonly kind: 'pck-crl' | 'root-crl' }): ItemFacts {
  const { issuer, thisUpdate, nextUpdate, number } = parseCrl(der, key.kind)
  const expected = issuerNames[key.kind === 'pck-crl' ? key.ca : 'root']
  if (commonNameOf(issuer) !== expected) throw mismatch(`${key.kind}.issuer`, `is not ${expected}`)
  if (number === null) throw mismatch(`${key.kind}.crlNumber`, 'is missing')
  return { issueDate: thisUpdate, nextUpdate, number }
}

/** Whether `item` says that it is the one named by `key`; `MalformedError` if not, or if it does not read at all. */
export function factsOfItem(item: CollateralItem, key: ItemKey): ItemFacts {
  if (item.kind === 'tcb-info' && key.kind === 'tcb-info') return numbered(tcbInfoFacts(item.text, key), key)
  if (item.kind === 'qe-identity' && key.kind === 'qe-identity') return numbered(qeIdentityFacts(item.text, key), key)
  if (item.kind === 'pck-crl' && key.kind === 'pck-crl') return revocationFacts(item.der, key)
  if (item.kind === 'root-crl' && key.kind === 'root-crl') return revocationFacts(item.der, key)
  throw new TypeError(`an item ${item.kind} is no ${key.kind}`)
}

/** Who asks for the set of one number must not be given another one (TDX-205). */
function numbered(facts: ItemFacts, key: ItemKey & { readonly kind: 'tcb-info' | 'qe-identity' }): ItemFacts {
  if (typeof key.update === 'string' || BigInt(key.update.evaluationNumber) === facts.number) return facts
  throw mismatch('tcbEvaluationDataNumber', `is ${facts.number}; asked for was ${key.update.evaluationNumber}`)
}
