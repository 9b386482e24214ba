import type { Checks } from '../../results/appraisal.ts'

export type QuoteFormCheckId = keyof typeof form
export type PckCheckId = keyof typeof pck
export type QuoteSignatureCheckId = keyof typeof signatures

const form = {
  'tdx.quote.size': {
    title: 'the quote has at most 65536 bytes, and every read stays inside of it',
    rule: 'TDX-100',
    remedy: 'send the whole quote as the quoting service gave it, and nothing else',
  },
  'tdx.quote.version': {
    title: 'the quote has version 3, 4 or 5',
    rule: 'TDX-101',
    remedy: 'use a quoting service that makes ECDSA quotes of version 3, 4 or 5',
  },
  'tdx.quote.keyType': {
    title: 'the attestation key is said to be ECDSA on P-256',
    rule: 'TDX-102',
    remedy: 'use a quoting enclave with an ECDSA P-256 attestation key; EPID quotes are not supported',
  },
  'tdx.quote.teeType': {
    title: 'the quote is about a TD or an SGX enclave, in a version that has such quotes',
    rule: 'TDX-103',
    remedy: 'send a quote of Intel TDX or Intel SGX; quotes of version 3 are about SGX enclaves only',
  },
  'tdx.quote.vendor': {
    title: 'the quoting enclave says that it is the one of Intel',
    rule: 'TDX-104',
    remedy: 'use the quoting enclave of Intel on the host',
  },
  'tdx.quote.body': {
    title: 'type and size of the body fit each other and the TEE',
    rule: 'TDX-105',
    remedy: 'send the quote as the quoting service gave it; other body types than 1 to 4 are not supported',
  },
  'tdx.quote.lengths': {
    title: 'every length in the signature data consumes its container exactly',
    rule: 'TDX-106',
    remedy: 'send the whole quote as the quoting service gave it; it may have been cut',
  },
  'tdx.quote.certification': {
    title: 'the certification data has types that lead to a PCK certificate',
    rule: 'TDX-107',
    remedy: 'let the quoting enclave embed the PCK certificate chain (type 5)',
  },
  'tdx.quote.padding': {
    title: 'behind the signature data stand only zeros',
    rule: 'TDX-108',
    remedy: 'send the quote without further bytes; they are not signed and could mean something to another reader',
  },
} as const

/** Section 2 of tdx.md: the form of the quote. */
export const quoteFormChecks: Checks<QuoteFormCheckId> = form

const pck = {
  'tdx.pck.present': {
    title: 'the PCK certificate chain is there, in the quote or with the collateral',
    rule: 'TDX-109',
    remedy: 'register the platform so that its quotes carry the PCK chain, or give the chain with the collateral',
  },
  'tdx.pck.chainForm': {
    title: 'the PCK chain is strict PEM of exactly three certificates',
    rule: 'TDX-110',
    remedy: 'provide leaf, intermediate and root in this order, without text between them',
  },
  'tdx.pck.certificates': {
    title: 'the certificates of the PCK chain are strict X.509 v3 with ECDSA on P-256 and SHA-256',
    rule: 'TDX-111',
    remedy: 'provide the certificates as the provisioning service issued them',
  },
  'tdx.pck.anchor': {
    title: 'the root of the PCK chain is a trust anchor',
    rule: 'TDX-113',
    remedy: 'attest on hardware of the maker whose root is trusted; a simulator or a test platform has another root',
  },
  'tdx.pck.signatures': {
    title: 'every certificate of the PCK chain is issued and signed by the next one',
    rule: 'TDX-114',
    remedy: 'provide the intermediate that issued the PCK certificate',
  },
  'tdx.pck.names': {
    title: 'the certificates of the PCK chain have the names of their roles',
    rule: 'TDX-115',
    remedy: 'provide the PCK certificate of the platform; another certificate of the same root does not stand for it',
  },
  'tdx.pck.roles': {
    title: 'the authorities of the PCK chain may issue certificates, and the leaf may not',
    rule: 'TDX-116',
    remedy: 'provide the PCK chain as the provisioning service issued it',
  },
  'tdx.pck.validity': {
    title: 'every certificate of the PCK chain is valid now',
    rule: 'TDX-118',
    remedy: 'compare the clock of the verifier; renew the PCK certificate of the platform',
  },
  'tdx.pck.extension': {
    title: 'the PCK certificate says exactly once which platform and TCB it is for',
    rule: 'TDX-121',
    remedy: 'provide the PCK certificate as the provisioning service issued it',
  },
} as const

/** Section 3.1 of tdx.md without the revocation lists. */
export const pckChecks: Checks<PckCheckId> = pck

const signatures = {
  'tdx.qe.signature': {
    title: 'the platform signed the report of the quoting enclave',
    rule: 'TDX-140',
    remedy: 'collect the evidence again; if it stays, the quote was changed or the PCK chain is of another platform',
  },
  'tdx.qe.binding': {
    title: 'the report of the quoting enclave binds the attestation key and the authentication data',
    rule: 'TDX-141',
    remedy: 'collect the evidence again; if it stays, another key than that of the quoting enclave signed the quote',
  },
  'tdx.qe.reportData': {
    title: 'the rest of the report data of the quoting enclave is zero',
    rule: 'TDX-142',
    remedy: 'use the quoting enclave of the maker on the host',
  },
  'tdx.quote.key': {
    title: 'the attestation key is a point on P-256',
    rule: 'TDX-143',
    remedy: 'collect the evidence again; if it stays, the quote was changed on its way',
  },
  'tdx.quote.signature': {
    title: 'the attestation key signed exactly these bytes',
    rule: 'TDX-144',
    remedy: 'collect the evidence again; if it stays, the quote was changed on its way or another key signed it',
  },
} as const

/** Section 3.2 of tdx.md. */
export const quoteSignatureChecks: Checks<QuoteSignatureCheckId> = signatures
