import { toHex } from '../../src/base/bytes.ts'
import {
  type BoundRequest,
  deriveReportData,
  deriveSeed,
  deriveTpmQualifyingData,
  encodeTokenRequest,
} from '../../src/evidence/binding.ts'
import { growRequestTree, hashLeaf } from '../../src/evidence/request-tree.ts'
import { encodeCommitment, type RequestCommitment } from '../../src/results/request-commitment.ts'
import { attestdPayload, type Members, tokenNow, tpmPayload } from './test-issuer.ts'

export const jkt = 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw'

/** The request at `index` of a batch; all differ. */
export function batchRequest(index: number): BoundRequest {
  return {
    audience: [index === 0 ? 'https://rp.test' : `https://rp${index}.test`],
    nonces: [`nonce-of-${index}`, 'nonce-0002'],
    tokenType: 'OIDC',
    ttlS: 900,
    policyIds: ['default'],
    cnf: { jkt },
  }
}

/** What one quote of a batch covers, and where each request stands in it. */
export interface CommittedBatch {
  readonly requests: readonly BoundRequest[]
  readonly seed: Uint8Array
  readonly devices: Uint8Array
  readonly commitments: readonly RequestCommitment[]
}

const filled = (length: number, byte: number) => new Uint8Array(length).fill(byte)

/** A batch of `size` requests under one challenge, made as an attester makes it. `mark` tells batches apart. */
export function commitBatch(size: number, { mark = 1, devices = new Uint8Array() } = {}): CommittedBatch {
  const requests = Array.from({ length: size }, (_, index) => batchRequest(index))
  const salts = requests.map((_, index) =>
    Uint8Array.from({ length: 16 }, (_, at) => (at === 0 ? mark : index + at) % 256),
  )
  const encoded = requests.map((request, index) => encodeTokenRequest(request, salts[index] ?? filled(16, 0)))
  const { root, paths } = growRequestTree(encoded.map(hashLeaf))
  const challenge = filled(32, 0xc0 + mark)
  const seed = deriveSeed({
    purpose: 'token',
    verifier: 'https://verifier.test',
    challenge,
    root,
    size,
    agentKey: null,
  })
  const commitments = requests.map(({ ttlS, policyIds }, index) => {
    const [path = [], salt = filled(16, 0)] = [paths[index], salts[index]]
    return { challenge, devices, index, size, path, salt, ttlS, policyIds }
  })
  return { requests, seed, devices, commitments }
}

function requestClaims({ audience, nonces, cnf }: BoundRequest): Members {
  return { aud: audience.length === 1 ? audience[0] : audience, eat_nonce: nonces, cnf }
}

/** The payload of a token that answers the request at `index`: of a TPM, of a TD, or of both. */
export function committedPayload(
  batch: CommittedBatch,
  index: number,
  kind: 'tpm' | 'tdx' | 'tdx+tpm' = 'tpm',
): Members {
  const { seed, devices, requests, commitments } = batch
  const [request, commitment] = [requests[index], commitments[index]]
  if (request === undefined || commitment === undefined) throw new TypeError(`the batch has no request ${index}`)
  const { nonce, at_hash, c_hash, auth_time, azp, attestd, ...base } = kind === 'tpm' ? tpmPayload() : attestdPayload()
  const { tdx, tpm, gpu, ...plain } = base as Record<string, Members>
  const body = (tdx?.['quote'] as Members | undefined)?.['body'] as Members | undefined
  const td = { ...tdx, quote: { body: { ...body, report_data: toHex(deriveReportData(seed, devices)) } } }
  const quotedTpm = { ...tpm, qualifying_data: toHex(deriveTpmQualifyingData(seed)) }
  const binding = kind === 'tdx+tpm' ? [{ edge: 'tdx+tpm', outcome: 'passed' }] : []
  return {
    ...plain,
    ...requestClaims(request),
    tee: kind === 'tpm' ? 'tpm' : 'tdx',
    acr: `urn:attestd:acr:${kind}`,
    ...(kind === 'tpm' ? {} : { tdx: td }),
    ...(kind === 'tdx' ? {} : { tpm: quotedTpm }),
    customized_claims: { init_data: null, runtime_data: null },
    exp: tokenNow + 870,
    attestd: {
      ...(attestd as Members),
      binding,
      commitment: encodeCommitment(commitment),
    },
  }
}

/** A payload of a TPM, with the proof that a quote for exactly this audience, these nonces and this key would give. */
export function commitPayload(payload: Members): Members {
  const request: BoundRequest = {
    audience: [payload['aud'] ?? []].flat() as string[],
    nonces: [payload['eat_nonce'] ?? []].flat() as string[],
    tokenType: 'OIDC',
    ttlS: null,
    policyIds: [],
    cnf: (payload['cnf'] as BoundRequest['cnf'] | undefined) ?? null,
  }
  const [salt, challenge, devices] = [filled(16, 1), filled(32, 2), new Uint8Array()]
  const root = hashLeaf(encodeTokenRequest(request, salt))
  const verifier = String(payload['iss'])
  const seed = deriveSeed({ purpose: 'token', verifier, challenge, root, size: 1, agentKey: null })
  const commitment = { challenge, devices, index: 0, size: 1, path: [], salt, ttlS: null, policyIds: [] }
  return {
    ...payload,
    tpm: { ...(payload['tpm'] as Members), qualifying_data: toHex(deriveTpmQualifyingData(seed)) },
    attestd: { ...(payload['attestd'] as Members), commitment: encodeCommitment(commitment) },
  }
}
