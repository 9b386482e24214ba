import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { cutSignedObject } from '../../endorsements/tdx/signed-document.ts'
import { endorserErrors } from '../errors.ts'
import type { CollateralItem } from './collateral-item.ts'
import { parseCrlForm } from './crl-form.ts'
import { decodeIssuerChain } from './issuer-chain.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import type { CollateralAnswer } from './ports.ts'

/** Versions 4 and 3 of the interface name the first one differently. */
const chainHeaders = {
  'tcb-info': ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain'],
  'qe-identity': ['sgx-enclave-identity-issuer-chain'],
  'pck-crl': ['sgx-pck-crl-issuer-chain'],
} as const

function issuerChainIn({ headers }: CollateralAnswer, kind: keyof typeof chainHeaders): string {
  for (const name of chainHeaders[kind]) {
    const header = headers[name]
    if (header !== undefined) return decodeIssuerChain(header, name)
  }
  throw new MalformedError({ path: chainHeaders[kind][0] }, 'the header is missing')
}

/** The item in an answer with status 200: cut out byte by byte, with its chain, unverified. Throws `MalformedError`. */
export function parseAnswer(answer: CollateralAnswer, key: ItemKey): CollateralItem {
  switch (key.kind) {
    case 'tcb-info':
    case 'qe-identity': {
      const issuerChain = issuerChainIn(answer, key.kind)
      const member = key.kind === 'tcb-info' ? 'tcbInfo' : 'enclaveIdentity'
      return { kind: key.kind, ...cutSignedObject(answer.body, member), issuerChain }
    }
    case 'pck-crl':
      return { kind: key.kind, der: parseCrlForm(answer.body, key.kind), issuerChain: issuerChainIn(answer, key.kind) }
    case 'root-crl':
      return { kind: key.kind, der: parseCrlForm(answer.body, key.kind), issuerChain: null }
  }
}

/** What a status other than 200 means (TDX-200, PCS-01). */
export function errorOfStatus(status: number, key: ItemKey, place: string): AttestdError {
  const say = (code: Parameters<typeof endorserErrors.error>[0], says: string) =>
    endorserErrors.error(code, `${place}: ${says}`, { facts: { source: place, item: nameOfItem(key), status } })
  if (status === 404) return say('collateral_unknown_platform', `${nameOfItem(key)} is not known here`)
  if (status === 461) return say('collateral_platform_uncached', 'the platform is not in the cache')
  if (status === 462) return say('collateral_tcb_uncertified', 'there is no certificate for this TCB')
  const numbered = 'update' in key && typeof key.update === 'object'
  if (status === 410 && numbered) return say('collateral_number_expired', 'the evaluation number is gone')
  if (status === 400 || status === 410) return say('collateral_request_refused', `answered with status ${status}`)
  if (status === 429 || status >= 500) return say('collateral_unavailable', `answered with status ${status}`)
  return say('collateral_answer_invalid', `answered with status ${status}`)
}
