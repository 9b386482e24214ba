import { declareErrors } from '../../base/errors.ts'

/** What a strict reader of policy JWS refuses; the fact `rule` of each error names the rule of the specification. */
export const signedPolicyErrors = declareErrors({
  POLICY_JWS_MALFORMED: {
    kind: 'malformed',
    title: 'a policy JWS does not have the compact form of a signed or unsigned policy',
    remedy: 'write three segments of base64url without padding, as `attestd policy sign` and the client library do',
  },
  POLICY_JWS_ALGORITHM: {
    kind: 'unsupported',
    status: 400,
    title: 'a policy JWS is signed in a way that is not accepted',
    remedy: 'sign with RS256 and an RSA key of at least 2048 bits, or with ES256 and a key on P-256',
  },
  POLICY_SIGNER_REQUIRED: {
    kind: 'forbidden',
    title: 'policies must be signed here, and this one is not',
    remedy: 'sign the policy with the key of a trusted signer (attestd policy sign)',
  },
  POLICY_SIGNER_REFUSED: {
    kind: 'distrusted',
    title: 'the signer of a policy is not one that is trusted, or does not show a key that can be used',
    remedy: 'sign with the key of a trusted signer, with its certificate in the header member `x5c`',
  },
  POLICY_SIGNATURE_INVALID: {
    kind: 'distrusted',
    title: 'the signature of a policy JWS does not verify under the key that its header shows',
    remedy: 'sign the policy again, with the key that belongs to the certificate in its header',
  },
  POLICY_PAYLOAD_MALFORMED: {
    kind: 'malformed',
    title: 'the payload of a policy JWS is not what it has to be',
    remedy:
      'the payload is {"AttestationPolicy": base64url of the UTF-8 text}, without padding and without other members',
  },
  POLICY_SIGNING_KEY: {
    kind: 'configuration',
    title: 'a key cannot sign policies',
    remedy: 'use a private RSA key of at least 2048 bits or one on P-256, and the certificate that was made for it',
  },
})

export type PolicyJwsRule = 'POL-702' | 'POL-703' | 'POL-704' | 'POL-705' | 'POL-706' | 'POL-707' | 'POL-708'
type JwsErrorCode = keyof typeof signedPolicyErrors.declared

const codes: Readonly<Record<PolicyJwsRule, JwsErrorCode>> = {
  'POL-702': 'POLICY_JWS_MALFORMED',
  'POL-703': 'POLICY_JWS_ALGORITHM',
  'POL-704': 'POLICY_SIGNER_REQUIRED',
  'POL-705': 'POLICY_SIGNER_REFUSED',
  'POL-706': 'POLICY_SIGNATURE_INVALID',
  'POL-707': 'POLICY_PAYLOAD_MALFORMED',
  'POL-708': 'POLICY_PAYLOAD_MALFORMED',
}

/** Makes the error for a rule that a JWS breaks; `remedy` replaces the general one. */
export function jwsRefusal(rule: PolicyJwsRule, detail: string, remedy?: string) {
  return signedPolicyErrors.error(codes[rule], detail, { facts: { rule }, ...(remedy === undefined ? {} : { remedy }) })
}
