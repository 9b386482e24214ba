import * as crypto from 'node:crypto'
import { verify as verifyByPeer } from '@phala/dcap-qvl'
import { encodeCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { appraiseQuote, createQuoteMemo } from '../../src/verifier/index.ts'
import { type Contender, compare, comparison } from '../support/comparison.ts'
import { recordedCollateral, recordedQuote } from '../support/recorded-tdx.ts'
import { haveVectors } from '../support/vectors.ts'

/** Bound once: vitest looks up an import at each use, which would count against the floor. */
const { verify, sign, generateKeyPairSync } = crypto

const hex = (digits: string) => new Uint8Array(Buffer.from(digits, 'hex'))

/** Signature verifications that no verifier can do without: all nine, and the two that are the quote's own. */
function verifications(count: number): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = new Uint8Array(632)
  const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return () => {
    for (let left = count; left > 0; left--) {
      verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
    }
  }
}

function contenders(quoteFile: string, bundle: string, at: string): readonly Contender[] {
  const quote = recordedQuote(`quotes/${quoteFile}.bin`)
  const collateral = recordedCollateral(`collateral/${bundle}.json`)
  const inputs = { collateral, now: Date.parse(at), reportData: 'any' } as const
  const memo = createQuoteMemo()
  const members = JSON.parse(encodeCollateral(collateral))
  const forPeer = {
    ...members,
    root_ca_crl: collateral.rootCaCrl,
    pck_crl: collateral.pckCrl,
    tcb_info_signature: hex(collateral.tcbInfoSignature),
    qe_identity_signature: hex(collateral.qeIdentitySignature),
  }
  return [
    { name: 'nine ECDSA verifications', role: 'floor', run: verifications(9) },
    { name: 'appraiseQuote, nothing known (TDX-276)', role: 'ours', run: () => appraiseQuote(quote, inputs) },
    { name: 'appraiseQuote with a memo (TDX-275)', role: 'ours', run: () => appraiseQuote(quote, { ...inputs, memo }) },
    { name: '@phala/dcap-qvl', role: 'peer', run: () => verifyByPeer(quote, forPeer, Date.parse(at) / 1000), every: 4 },
  ]
}

const version4 = ['dcapqvl-tdx_quote-v4', 'dcapqvl-tdx-b0c06f-2025-06', '2025-06-20T00:00:00Z'] as const
const version5 = ['gotdx-v5-sample', 'gotdxv5-tdx-90c06f-2026-02', '2026-02-25T00:00:00Z'] as const

comparison('appraise a TDX quote of version 4', () => compare('version 4', contenders(...version4)), haveVectors)
comparison('appraise a TDX quote of version 5', () => compare('version 5', contenders(...version5)), haveVectors)
