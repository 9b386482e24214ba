import { parseText, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type JsonLimits, type JsonObject, parseJsonObject } from '../../base/json.ts'
import { Members } from './members.ts'

/**
 * All that a maker says about the platform of one quote (tdx.md section 3). Nothing is verified and hardly anything
 * parsed: the texts are what the maker signed, byte for byte.
 */
export interface Collateral {
  /** PEM: TCB signer, root. */
  readonly tcbInfoIssuerChain: string
  /** The exact text of the inner object (TDX-202). */
  readonly tcbInfo: string
  /** Raw r and s: 128 lower-case hexadecimal digits. */
  readonly tcbInfoSignature: string
  /** PEM: TCB signer, root. */
  readonly qeIdentityIssuerChain: string
  readonly qeIdentity: string
  readonly qeIdentitySignature: string
  /** DER. */
  readonly rootCaCrl: Uint8Array
  readonly pckCrl: Uint8Array
  /** PEM: PCK CA, root. */
  readonly pckCrlIssuerChain: string | null
  /** PEM: PCK certificate, PCK CA, root; only for quotes that do not carry their chain (TDX-109). */
  readonly pckCertificateChain: string | null
}

/** Characters of a whole bundle: two signed documents of 1 MiB and two lists. */
const longestBundle = 8 * 1_048_576
/** Ten texts in one object. */
const bundleLimits: JsonLimits = { maxDepth: 4, maxItems: 64, maxValues: 128 }
/** Bytes of one revocation list. */
export const longestCollateralCrl = 1_048_576

/**
 * Parses a bundle: the JSON object of tdx.md section 3 with members in snake_case, revocation lists as hexadecimal
 * DER, `pck_crl_issuer_chain` and `pck_certificate_chain` optional (absent or null). Strict JSON; members that are not
 * known are errors, so that a misspelt one is not taken for an absent one. Throws `MalformedError`.
 */
export function parseCollateral(document: string | Uint8Array | JsonObject): Collateral {
  const members = new Members(objectOf(document), 'collateral')
  return {
    tcbInfoIssuerChain: members.text('tcb_info_issuer_chain'),
    tcbInfo: members.text('tcb_info'),
    tcbInfoSignature: members.hex('tcb_info_signature', 64),
    qeIdentityIssuerChain: members.text('qe_identity_issuer_chain'),
    qeIdentity: members.text('qe_identity'),
    qeIdentitySignature: members.hex('qe_identity_signature', 64),
    rootCaCrl: listOf(members, 'root_ca_crl'),
    pckCrl: listOf(members, 'pck_crl'),
    pckCrlIssuerChain: optionalText(members, 'pck_crl_issuer_chain'),
    pckCertificateChain: optionalText(members, 'pck_certificate_chain'),
  }
}

const knownMembers = new Set([
  'tcb_info_issuer_chain',
  'tcb_info',
  'tcb_info_signature',
  'qe_identity_issuer_chain',
  'qe_identity',
  'qe_identity_signature',
  'root_ca_crl',
  'pck_crl',
  'pck_crl_issuer_chain',
  'pck_certificate_chain',
])

function objectOf(document: string | Uint8Array | JsonObject): JsonObject {
  const isText = typeof document === 'string' || document instanceof Uint8Array
  if (isText && document.length > longestBundle)
    throw new MalformedError({ path: 'collateral' }, 'is longer than 8 MiB')
  const object = isText ? parseJsonObject(document, 'collateral', bundleLimits) : document
  for (const name of Object.keys(object)) {
    if (!knownMembers.has(name)) throw new MalformedError({ path: `collateral.${name.slice(0, 64)}` }, 'is not known')
  }
  return object
}

function listOf(members: Members, member: string): Uint8Array {
  const text = members.text(member)
  if (text.length > 2 * longestCollateralCrl) throw members.malformed(member, 'is longer than 1 MiB')
  return parseText(text.toLowerCase(), 'hex', `collateral.${member}`)
}

function optionalText(members: Members, member: string): string | null {
  return members.value(member) === undefined || members.value(member) === null ? null : members.text(member)
}

/** The bundle as `parseCollateral` reads it: one line of JSON, ended by LF. */
export function encodeCollateral(collateral: Collateral): string {
  const { pckCrlIssuerChain, pckCertificateChain } = collateral
  const bundle = {
    tcb_info_issuer_chain: collateral.tcbInfoIssuerChain,
    tcb_info: collateral.tcbInfo,
    tcb_info_signature: collateral.tcbInfoSignature,
    qe_identity_issuer_chain: collateral.qeIdentityIssuerChain,
    qe_identity: collateral.qeIdentity,
    qe_identity_signature: collateral.qeIdentitySignature,
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    ...(pckCrlIssuerChain === null ? {} : { pck_crl_issuer_chain: pckCrlIssuerChain }),
    ...(pckCertificateChain === null ? {} : { pck_certificate_chain: pckCertificateChain }),
  }
  return `${JSON.stringify(bundle)}\n`
}
