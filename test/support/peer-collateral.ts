import type { Collateral as PeerCollateral } from '@phala/dcap-qvl'
import { toHex } from '../../src/base/bytes.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'

/** Collateral in the form of `@phala/dcap-qvl`. */
export function peerCollateral(collateral: Collateral): PeerCollateral {
  return {
    tcb_info_issuer_chain: collateral.tcbInfoIssuerChain,
    tcb_info: collateral.tcbInfo,
    tcb_info_signature: collateral.tcbInfoSignature,
    qe_identity_issuer_chain: collateral.qeIdentityIssuerChain,
    qe_identity: collateral.qeIdentity,
    qe_identity_signature: collateral.qeIdentitySignature,
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    pck_crl_issuer_chain: collateral.pckCrlIssuerChain ?? '',
  }
}
