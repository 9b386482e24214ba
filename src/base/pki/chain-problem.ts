/** Everything that a chain can lack. The texts are titles for people; programs compare the codes. */
export const chainProblems = {
  too_many_certificates: 'more certificates than a chain may have were given',
  too_deep: 'the chain is longer than allowed',
  issuer_unknown: 'no certificate and no anchor has the name of the issuer',
  untrusted_root: 'the chain ends in a self-signed certificate that is not an anchor',
  not_yet_valid: 'the validity has not begun',
  expired: 'the validity is over',
  unusable_key: 'the key is weak, damaged or of an unsupported kind',
  signature: 'the signature is not by the key of the issuer',
  weak_signature: 'the signature uses a broken hash',
  unsupported_signature: 'the signature algorithm is not supported',
  key_id: 'the key identifier names another issuer',
  leaf_is_ca: 'the leaf may issue certificates',
  not_a_ca: 'the issuer is not a certificate authority',
  key_usage: 'the issuer may not sign certificates',
  path_length: 'the issuer allows fewer authorities below itself',
  unknown_critical_extension: 'a critical extension is not known',
  name_constraints: 'name constraints are not supported',
  revoked: 'the issuer has revoked the certificate',
  crl_absent: 'there is no revocation list of the issuer',
  crl_not_yet_valid: 'the revocation list is from the future',
  crl_stale: 'the revocation list has ended',
  crl_signature: 'the revocation list is not signed by the issuer',
  crl_key_usage: 'the issuer may not sign revocation lists',
  crl_key_id: 'the revocation list names another key',
  crl_unsupported: 'the revocation list is partial, indirect or has an unknown critical extension',
} as const

export type ChainProblemCode = keyof typeof chainProblems

export interface ChainProblem {
  readonly code: ChainProblemCode
  /** Place in the chain: 0 is the leaf, 1 its issuer. */
  readonly at: number
  /** One sentence for people, escaped. */
  readonly detail: string
}
