import { encodePem, parsePemBlocks } from '../../base/pki/pem.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { CollateralItem } from './collateral-item.ts'

/** The chain that issued the list; a bundle may name it as the upper end of the chain of a PCK certificate instead. */
function pckIssuerChain({ pckCrlIssuerChain, pckCertificateChain }: Collateral): string | null {
  if (pckCrlIssuerChain !== null || pckCertificateChain === null) return pckCrlIssuerChain
  const [, ...issuers] = parsePemBlocks(pckCertificateChain, 'CERTIFICATE')
  return issuers.map((der) => encodePem(der, 'CERTIFICATE')).join('')
}

/**
 * The items of a bundle, unverified, in the order TCB info, QE identity, PCK CRL, root CRL. The PCK CRL is left out
 * where the bundle does not say who issued it: by itself it could not be authenticated. Throws `MalformedError`.
 */
export function itemsOfBundle(bundle: Collateral): readonly CollateralItem[] {
  const { tcbInfo, tcbInfoSignature, tcbInfoIssuerChain, qeIdentity, qeIdentitySignature, qeIdentityIssuerChain } =
    bundle
  const issuerChain = pckIssuerChain(bundle)
  return [
    { kind: 'tcb-info', text: tcbInfo, signature: tcbInfoSignature, issuerChain: tcbInfoIssuerChain },
    { kind: 'qe-identity', text: qeIdentity, signature: qeIdentitySignature, issuerChain: qeIdentityIssuerChain },
    ...(issuerChain === null ? [] : [{ kind: 'pck-crl', der: bundle.pckCrl, issuerChain } as const]),
    { kind: 'root-crl', der: bundle.rootCaCrl, issuerChain: null },
  ]
}
