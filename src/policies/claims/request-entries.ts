import { claimEntries } from './claim-entry.ts'

/** What does not depend on the kind of evidence. */
export const requestEntries = [
  ...claimEntries(
    [],
    [
      ['attestation.type', 'S', 'what was asked for: `tdx`, `nvgpu`, `acstdxnvgpu`, `tpm`, `sgx`'],
      ['attestation.time', 'I', 'seconds since the epoch at which the evidence was appraised'],
      ['attestation.simulated', 'B', 'a part of the evidence is simulated; always there'],
      [
        'attestation.freshness',
        'S',
        '`challenge`: the evidence is over a challenge of the verifier; `nonce`: over one of the caller; `unbound`',
      ],
      ['evidence.kinds', 'S*', 'kinds of evidence that were verified: `tdx`, `tpm`, `ima`, `gpu`'],
    ],
  ),
  ...claimEntries(
    [],
    [
      ['custom:<name>', 'S', 'a custom claim of the request: String, Integer or Boolean', { issuer: 'CustomClaim' }],
      ['runtime.data', 'S', 'base64url: verified runtime data, written by the workload', { issuer: 'CustomClaim' }],
      ['runtime.claims', 'S', 'the same as RFC 8785 text, if it is a JSON object', { issuer: 'CustomClaim' }],
    ],
  ),
]
