import { toHex } from '../../src/base/bytes.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import { CollateralIssuer, type CollateralItem, type CollateralOptions, type SignedText } from './collateral.ts'
import type { PckAuthority } from './pck-extension.ts'
import type { SimulatedPki } from './pki.ts'

/** What is sent for one request. */
export interface PccsAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** A request that was understood, or the status that says why not. */
export type PccsRequest =
  | { readonly item: 'tcbInfo' | 'qeIdentity'; readonly options: CollateralOptions; readonly chainHeader: string }
  | { readonly item: 'pckCrl'; readonly authority: PckAuthority; readonly form: CrlForm }
  | { readonly item: 'rootCrl'; readonly form: CrlForm }
  | { readonly item: 'numbers'; readonly tee: 'tdx' | 'sgx' }
  | { readonly item: 'none'; readonly status: number }

export type CrlForm = 'der' | 'pem' | 'hex'

export interface PccsRules {
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** Sends all lists like this, whatever the request says. */
  readonly crlForm: CrlForm | null
  /** Knows FMSPCs in capital letters only, as some servers do (TDX-204). */
  readonly upperCaseOnly: boolean
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const nothing = (status: number): PccsRequest => ({ item: 'none', status })
export const emptyAnswer = (status: number): PccsAnswer => ({ status, headers: {}, body: new Uint8Array() })

/** The numbers of the sets that can be asked for; older ones have expired. */
const evaluationNumbers = { standard: 17, early: 18 } as const
const pathForm = /^\/(sgx|tdx)\/certification\/(v3|v4)\/(tcb|qe\/identity|pckcrl|rootcacrl|tcbevaluationdatanumbers)$/
const tcbHeaders = { v3: 'SGX-TCB-Info-Issuer-Chain', v4: 'TCB-Info-Issuer-Chain' } as const

/** Which set is asked for; a status where the request contradicts itself or the set is not there any more (TDX-205). */
function editionOf(query: URLSearchParams): CollateralOptions | number {
  const [update, number] = [query.get('update'), query.get('tcbEvaluationDataNumber')]
  if (update !== null && number !== null) return 400
  if (number !== null) return editionOfNumber(number)
  if (update === null || update === 'standard') return {}
  return update === 'early' ? { update: 'early' } : 400
}

function editionOfNumber(number: string): CollateralOptions | number {
  if (!/^\d{1,9}$/.test(number)) return 400
  if (Number(number) === evaluationNumbers.standard) return {}
  if (Number(number) === evaluationNumbers.early) return { update: 'early' }
  return Number(number) < evaluationNumbers.standard ? 410 : 404
}

function tcbRequest(tee: 'tdx' | 'sgx', version: 'v3' | 'v4', query: URLSearchParams, rules: PccsRules): PccsRequest {
  const fmspc = query.get('fmspc') ?? ''
  const edition = editionOf(query)
  if (!/^[0-9A-Fa-f]{12}$/.test(fmspc)) return nothing(400)
  if (typeof edition === 'number') return nothing(edition)
  const known = rules.upperCaseOnly ? rules.fmspc.toUpperCase() : rules.fmspc
  if ((rules.upperCaseOnly ? fmspc : fmspc.toLowerCase()) !== known) return nothing(404)
  const options: CollateralOptions = { ...edition, tee, tcbInfoVersion: version === 'v3' ? 2 : 3 }
  return { item: 'tcbInfo', options, chainHeader: tcbHeaders[version] }
}

function identityRequest(tee: 'tdx' | 'sgx', query: URLSearchParams): PccsRequest {
  const edition = editionOf(query)
  if (typeof edition === 'number') return nothing(edition)
  return { item: 'qeIdentity', options: { ...edition, tee }, chainHeader: 'SGX-Enclave-Identity-Issuer-Chain' }
}

function listRequest(query: URLSearchParams, rules: PccsRules): PccsRequest {
  const [authority, encoding] = [query.get('ca'), query.get('encoding')]
  if (authority !== 'platform' && authority !== 'processor') return nothing(400)
  if (encoding !== null && encoding !== 'der' && encoding !== 'pem') return nothing(400)
  return { item: 'pckCrl', authority, form: rules.crlForm ?? (encoding === 'der' ? 'der' : 'hex') }
}

/** Reads a request target by section 4.1 of tdx.md. v3 has no paths for TDX; lists of both versions are under `sgx`. */
export function readPccsRequest(target: string, rules: PccsRules): PccsRequest {
  const { pathname, searchParams: query } = new URL(target, 'http://localhost')
  if (pathname === '/IntelSGXRootCA.der') return { item: 'rootCrl', form: rules.crlForm ?? 'der' }
  const [, tee, version, what] = pathForm.exec(pathname) ?? []
  if ((tee !== 'sgx' && tee !== 'tdx') || (version !== 'v3' && version !== 'v4')) return nothing(404)
  if (tee === 'tdx' && version === 'v3') return nothing(404)
  if (what === 'tcb') return tcbRequest(tee, version, query, rules)
  if (what === 'qe/identity') return identityRequest(tee, query)
  if (what === 'tcbevaluationdatanumbers') return version === 'v4' ? { item: 'numbers', tee } : nothing(404)
  if (tee === 'tdx') return nothing(404)
  return what === 'pckcrl' ? listRequest(query, rules) : { item: 'rootCrl', form: rules.crlForm ?? 'hex' }
}

function signedAnswer(member: string, { text, signature }: SignedText, header: string, chain: string): PccsAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', [header]: encodeURIComponent(chain) },
    body: utf8(`{"${member}":${text},"signature":"${signature}"}`),
  }
}

const crlTypes: Readonly<Record<CrlForm, string>> = {
  der: 'application/pkix-crl',
  pem: 'application/x-pem-file',
  hex: 'text/plain',
}

function crlAnswer(der: Uint8Array, form: CrlForm, headers: Readonly<Record<string, string>> = {}): PccsAnswer {
  const body = { der, pem: utf8(encodePem(der, 'X509 CRL')), hex: utf8(toHex(der)) }[form]
  return { status: 200, headers: { 'content-type': crlTypes[form], ...headers }, body }
}

function numbersOf(tee: 'tdx' | 'sgx', issued: number): object {
  const date = (milliseconds: number) => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
  const facts = { tcbRecoveryEventDate: '2025-05-13T00:00:00Z', tcbDate: '2025-05-14T00:00:00Z' }
  return {
    id: tee.toUpperCase(),
    version: 1,
    issueDate: date(issued),
    nextUpdate: date(issued + 30 * 86_400_000),
    tcbEvalNumbers: [evaluationNumbers.early, evaluationNumbers.standard].map((number) => ({
      tcbEvaluationDataNumber: number,
      ...facts,
    })),
  }
}

export interface Publication {
  readonly pki: SimulatedPki
  /** When everything was issued: milliseconds since the epoch. */
  readonly issued: number
  /** What the maker publishes besides the usual, such as revocations. */
  readonly options: CollateralOptions
}

/** The answer of a healthy server. */
export function answerPccsRequest(request: PccsRequest, { pki, issued, options }: Publication): PccsAnswer {
  const issuer = (more: CollateralOptions = {}) => new CollateralIssuer(pki, issued, { issued, ...options, ...more })
  switch (request.item) {
    case 'tcbInfo':
      return signedAnswer('tcbInfo', issuer(request.options).tcbInfo(), request.chainHeader, issuer().signerChain())
    case 'qeIdentity':
      return signedAnswer(
        'enclaveIdentity',
        issuer(request.options).qeIdentity(),
        request.chainHeader,
        issuer().signerChain(),
      )
    case 'pckCrl': {
      const chain = encodeURIComponent(issuer().pckCrlChain(request.authority))
      return crlAnswer(issuer().pckCrl(request.authority), request.form, { 'SGX-PCK-CRL-Issuer-Chain': chain })
    }
    case 'rootCrl':
      return crlAnswer(issuer().rootCrl(), request.form)
    case 'numbers': {
      const signed = issuer().signed(numbersOf(request.tee, issued))
      const header = 'TCB-Evaluation-Data-Numbers-Issuer-Chain'
      return signedAnswer('tcbEvaluationDataNumbers', signed, header, issuer().signerChain())
    }
    case 'none':
      return emptyAnswer(request.status)
  }
}

export type ServedItem = CollateralItem | 'numbers'
