import type { QuoteCheckId, VerdictClass } from '../../src/verifier/tdx/checks.ts'
import type { CollateralItem, CollateralOptions } from './collateral.ts'
import { loaderSvns, teeTcbSvn } from './platform.ts'
import type { QuoteOptions } from './quotes.ts'
import type { Scenario, ScenarioVerdict } from './scenarios.ts'

function refused(by: Exclude<VerdictClass, 'verified'>, ...failed: readonly QuoteCheckId[]): ScenarioVerdict {
  return { class: by, status: null, failed }
}

const validityChecks: Readonly<Record<CollateralItem, QuoteCheckId>> = {
  tcbInfo: 'tdx.tcbInfo.validity',
  qeIdentity: 'tdx.qeIdentity.validity',
  rootCrl: 'tdx.rootCrl.validity',
  pckCrl: 'tdx.pckCrl.validity',
}
const items = Object.keys(validityChecks) as CollateralItem[]
const hour = 3_600_000

function untimely(now: number, item: CollateralItem): Scenario[] {
  const expected = refused('not_current', validityChecks[item])
  const expired = { issued: now - 48 * hour, nextUpdate: now - 1000 }
  const future = { issued: now + 1000, nextUpdate: now + 48 * hour }
  return [
    { name: `${item} expired`, rules: ['TDX-119', 'TDX-163'], collateral: { periods: { [item]: expired } }, expected },
    { name: `${item} of the future`, rules: ['TDX-163'], collateral: { periods: { [item]: future } }, expected },
  ]
}

const withCollateral = (
  name: string,
  rule: string,
  collateral: CollateralOptions,
  expected: ScenarioVerdict,
): Scenario => ({ name, rules: [rule], collateral, expected })

function revocations(): Scenario[] {
  return [
    withCollateral('PCK revoked', 'TDX-120', { revoked: ['pck'] }, refused('revoked', 'tdx.pck.revocation')),
    withCollateral('PCK authority revoked', 'TDX-119', { revoked: ['ca'] }, refused('revoked', 'tdx.pck.caRevocation')),
    withCollateral(
      'TCB signer revoked',
      'TDX-119',
      { revoked: ['tcb-signer'] },
      refused('revoked', 'tdx.signers.revocation'),
    ),
  ]
}

/** Authentic documents about something else. */
function mismatches(): Scenario[] {
  return [
    withCollateral(
      'TCB info of another FMSPC',
      'TDX-165',
      { editTcbInfo: (document) => ({ ...document, fmspc: '51D0AC000001' }) },
      refused('collateral_mismatch', 'tdx.tcbInfo.fmspc'),
    ),
    withCollateral(
      'TCB info of another PCEID',
      'TDX-166',
      { editTcbInfo: (document) => ({ ...document, pceId: '0001' }) },
      refused('collateral_mismatch', 'tdx.tcbInfo.pceId'),
    ),
    {
      name: 'TCB info for enclaves',
      rules: ['TDX-164'],
      mixed: (sim) => {
        const { tcbInfo, tcbInfoSignature } = sim.collateral({ tee: 'sgx' })
        return { tcbInfo, tcbInfoSignature }
      },
      expected: refused('collateral_mismatch', 'tdx.tcbInfo.kind'),
    },
    {
      name: 'QE identity for enclaves',
      rules: ['TDX-154'],
      mixed: (sim) => {
        const { qeIdentity, qeIdentitySignature } = sim.collateral({ tee: 'sgx' })
        return { qeIdentity, qeIdentitySignature }
      },
      expected: refused('collateral_mismatch', 'tdx.qeIdentity.kind', 'tdx.qe.product'),
    },
    withCollateral(
      'PCK list of the other authority',
      'TDX-120',
      { ca: 'processor' },
      refused('collateral_invalid', 'tdx.pckCrl.authentic', 'tdx.pckCrl.chain'),
    ),
  ]
}

/** Under the root, but by keys that must not speak for the maker (TDX 3.10). */
function impostors(): Scenario[] {
  return [
    {
      name: 'TCB info signed by a PCK',
      rules: ['TDX-150', 'TDX-160'],
      mixed: (sim) => {
        const { tcbInfo, tcbInfoSignature, tcbInfoIssuerChain } = sim.collateral({ signer: sim.pki.platformPck })
        return { tcbInfo, tcbInfoSignature, tcbInfoIssuerChain }
      },
      expected: refused('collateral_invalid', 'tdx.tcbInfo.chain'),
    },
    {
      name: 'TCB info with a signature of zeros',
      rules: ['TDX-161'],
      mixed: () => ({ tcbInfoSignature: '00'.repeat(64) }),
      expected: refused('collateral_invalid', 'tdx.tcbInfo.signature'),
    },
    {
      name: 'QE identity with a signature of zeros',
      rules: ['TDX-151'],
      mixed: () => ({ qeIdentitySignature: '00'.repeat(64) }),
      expected: refused('collateral_invalid', 'tdx.qeIdentity.signature'),
    },
  ]
}

/** What the maker's services do wrong or say against the platform. */
export function collateralScenarios(now: number): Scenario[] {
  return [...revocations(), ...items.flatMap((item) => untimely(now, item)), ...mismatches(), ...impostors()]
}

const withQuote = (
  name: string,
  rule: string,
  quote: Omit<QuoteOptions, 'reportData'>,
  expected: ScenarioVerdict,
): Scenario => ({ name, rules: [rule], quote, expected })

const ones = (size: number) => new Uint8Array(size).fill(1)

function moduleScenarios(): Scenario[] {
  const mismatch = (id: QuoteCheckId) => refused('tdx_module_mismatch', id)
  const uncovered = teeTcbSvn()
  uncovered[2] = loaderSvns.Revoked - 1
  const oldModule = teeTcbSvn()
  oldModule[0] = 1
  return [
    withQuote(
      'unknown module',
      'TDX-170',
      { teeTcbSvn: teeTcbSvn({ version: 2 }) },
      refused('tdx_module_mismatch', 'tdx.module.known', 'tdx.module.level', 'tdx.tcb.current'),
    ),
    withQuote('module of another signer', 'TDX-171', { mrSignerSeam: ones(48) }, mismatch('tdx.module.signer')),
    withQuote('module in debug mode', 'TDX-172', { seamAttributes: ones(8) }, mismatch('tdx.module.attributes')),
    withQuote(
      'platform below every level',
      'TDX-173',
      { teeTcbSvn: uncovered },
      refused('tcb_not_supported', 'tdx.tcb.level', 'tdx.tcb.current'),
    ),
    withQuote(
      'module below every level',
      'TDX-174',
      { teeTcbSvn: oldModule },
      refused('tcb_not_supported', 'tdx.module.level', 'tdx.tcb.current'),
    ),
    withQuote(
      'platform with smaller SGX components',
      'TDX-173',
      { platform: { components: [2, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0] } },
      refused('tcb_not_supported', 'tdx.tcb.level', 'tdx.tcb.current'),
    ),
  ]
}

function enclaveScenarios(): Scenario[] {
  const mismatch = (id: QuoteCheckId) => refused('qe_identity_mismatch', id)
  const debug = Uint8Array.of(0x13, ...new Uint8Array(15))
  return [
    withQuote('QE of another signer', 'TDX-157', { qeReport: { mrSigner: ones(32) } }, mismatch('tdx.qe.mrSigner')),
    withQuote('QE of another product', 'TDX-158', { qeReport: { isvProdId: 3 } }, mismatch('tdx.qe.product')),
    withQuote('QE in debug mode', 'TDX-156', { qeReport: { attributes: debug } }, mismatch('tdx.qe.attributes')),
    withQuote('QE with MISCSELECT', 'TDX-155', { qeReport: { miscSelect: ones(4) } }, mismatch('tdx.qe.miscSelect')),
    withQuote(
      'QE below every level',
      'TDX-159',
      { qeReport: { isvSvn: 1 } },
      refused('tcb_not_supported', 'tdx.qe.level'),
    ),
    withQuote(
      'QE report without the attestation key',
      'TDX-141',
      { qeReport: { reportData: new Uint8Array(64) } },
      refused('signature_invalid', 'tdx.qe.binding'),
    ),
    withQuote(
      'PCK of another platform',
      'TDX-165',
      { platform: { fmspc: '51d0ac000002' } },
      refused('collateral_mismatch', 'tdx.tcbInfo.fmspc'),
    ),
    withQuote(
      'PCK of another PCEID',
      'TDX-166',
      { platform: { pceId: '0001' } },
      refused('collateral_mismatch', 'tdx.tcbInfo.pceId'),
    ),
  ]
}

function flipped(at: number): (quote: Uint8Array) => Uint8Array {
  return (quote) => quote.map((byte, offset) => (offset === at ? byte ^ 1 : byte))
}

/** Offsets of version 4 with a TD report (tdx.md section 2.3). */
const offsets = { mrTd: 48 + 136, qeReport: 770 + 64 } as const

function damageScenarios(): Scenario[] {
  const damaged = (name: string, rule: string, damage: Scenario['damage'], expected: ScenarioVerdict): Scenario => ({
    name,
    rules: [rule],
    ...(damage ? { damage } : {}),
    expected,
  })
  const signature = refused('signature_invalid', 'tdx.quote.signature')
  return [
    damaged('one bit of the measurement changed', 'TDX-144', flipped(offsets.mrTd), signature),
    damaged(
      'one bit of the QE report changed',
      'TDX-140',
      flipped(offsets.qeReport),
      refused('signature_invalid', 'tdx.qe.signature'),
    ),
    damaged(
      'a byte behind the quote',
      'TDX-108',
      (quote) => Uint8Array.of(...quote, 0, 1),
      refused('malformed', 'tdx.quote.padding'),
    ),
    damaged('a quote without its end', 'TDX-106', (quote) => quote.subarray(0, -1), {
      class: 'malformed',
      status: null,
      failed: ['tdx.quote.lengths'],
    }),
  ]
}

function pckScenarios(now: number): Scenario[] {
  const expected = refused('not_current', 'tdx.pck.validity')
  const periods = {
    expired: { notBefore: now - 48 * hour, notAfter: now - 1000 },
    'of the future': { notBefore: now + 1000, notAfter: now + 48 * hour },
  }
  return Object.entries(periods).map(([which, pckValidity]) =>
    withQuote(`PCK ${which}`, 'TDX-118', { pckValidity }, expected),
  )
}

/** What the machine does wrong. */
export function quoteScenarios(now: number): Scenario[] {
  return [...moduleScenarios(), ...enclaveScenarios(), ...pckScenarios(now), ...damageScenarios()]
}
