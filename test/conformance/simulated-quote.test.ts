import { QuoteVerifier } from '@phala/dcap-qvl'
import { describe, expect, it } from 'vitest'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { peerCollateral } from '../support/peer-collateral.ts'

const now = Date.UTC(2026, 5, 1)
const sim = createSimulator({ clock: { now: () => now } })

/** What an independent verifier says under a root: the status, or why not. */
function peerVerdict(quote: Uint8Array, collateral: Collateral, root = sim.pki.root.certificate): string {
  try {
    const verifier = new QuoteVerifier(Buffer.from(root))
    return verifier.verify(Buffer.from(quote), peerCollateral(collateral), now / 1000).status
  } catch (error) {
    return error instanceof Error ? `refused: ${error.message}` : 'refused'
  }
}

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at)

describe('an independent verifier with the root of the simulator (TDX-289)', () => {
  it.each([
    [4, 2, 'tdx'],
    [5, 2, 'tdx'],
    [5, 3, 'tdx'],
    [3, 1, 'sgx'],
  ] as const)('verifies a quote of version %i, body type %i', (version, bodyType, tee) => {
    expect(peerVerdict(sim.quote({ version, bodyType, reportData }), sim.collateral({ tee }))).toBe('UpToDate')
  })

  it.each([
    'SWHardeningNeeded',
    'ConfigurationNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
  ] as const)('finds the same level of the platform: %s', (platform) => {
    expect(peerVerdict(sim.quote({ reportData, teeTcbSvn: teeTcbSvn({ platform }) }), sim.collateral())).toBe(platform)
  })

  it('refuses the same quote under its own root', () => {
    const quote = sim.quote({ reportData })
    const verdict = () => {
      const verified = QuoteVerifier.newProd().verify(Buffer.from(quote), peerCollateral(sim.collateral()), now / 1000)
      return verified.status
    }
    expect(verdict).toThrow()
  })

  it('refuses a revoked PCK certificate, and a quote with one byte changed', () => {
    const quote = sim.quote({ reportData })
    expect(peerVerdict(quote, sim.collateral({ revoked: ['pck'] }))).toContain('refused')
    const changed = Uint8Array.from(quote)
    changed[48 + 520] = (changed[48 + 520] ?? 0) ^ 1
    expect(peerVerdict(changed, sim.collateral())).toContain('refused')
  })
})
