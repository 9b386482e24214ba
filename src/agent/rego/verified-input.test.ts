import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../../test/support/simulated-guest.ts'
import { testNow } from '../../../test/support/test-ca.ts'
import { type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { encodeInput } from '../../policies/rego/input-text.ts'
import { regoInputs } from '../../policies/rego/rego-input.ts'
import { appraiseGuest, verifiedClaims } from '../../verifier/index.ts'

const guest = new SimulatedGuest()
const seed = new Uint8Array(48).fill(7)
const evidence = guest.both(seed)
const facts = { tee: 'tdx', freshness: 'challenge', now: testNow, simulator: true, documents: true } as const
const trees = verifiedClaims(appraiseGuest(evidence, guest.inputs(seed)), evidence, facts)

function inputOf(claims: object = {}): JsonObject {
  const [input = {}] = regoInputs('cpu', { trees, initDataClaims: claims, runtimeDataClaims: claims })
  return parseJsonObject(encodeInput(input), 'input', { integersOnly: true })
}

const at = (tree: JsonValue | undefined, path: string): JsonValue | undefined =>
  path.split('.').reduce<JsonValue | undefined>((here, name) => (here as JsonObject | undefined)?.[name], tree)

describe('the input of a policy about a simulated guest, by our verifier (POL-962)', () => {
  const input = inputOf()

  it.each([
    ...['attestation.type', 'attestation.time', 'attestation.simulated', 'attestation.freshness', 'evidence.kinds'],
    ...['tdx.quote.header.version', 'tdx.quote.header.tee_type', 'tdx.quote.header.vendor_id'],
    ...['mr_td', 'mr_seam', 'tcb_svn', 'xfam', 'rtmr_0', 'rtmr_3', 'report_data'].map((one) => `tdx.quote.body.${one}`),
    ...['debug', 'septve_disable', 'protection_keys', 'key_locker', 'perfmon'].map((one) => `tdx.td_attributes.${one}`),
    ...['tcb_status', 'tcb_date', 'advisory_ids', 'collateral_expiration_status', 'tcb_eval_num'].map(
      (one) => `tdx.${one}`,
    ),
    ...['tdx.report_data_bound', 'tdx.eventlog_present', 'report_data', 'init_data'],
    ...['ak_trusted', 'ak_trust', 'ak_name', 'ak_pub_sha256', 'nonce_matched', 'quoted_pcrs'].map(
      (one) => `tpm.${one}`,
    ),
    ...['tpm.pcr.0', 'tpm.pcr00', 'tpm.pcr07', 'tpm.uefi_event_logs', 'ima.verified', 'ima.entry_count'],
    ...['init_data_claims', 'runtime_data_claims'],
  ])('has %s', (path) => {
    expect(at(input, path)).toBeDefined()
  })

  it('has registers and values as the verifier gives them', () => {
    expect(at(input, 'tpm.pcr07')).toBe(at(input, 'tpm.pcr.7'))
    expect(at(input, 'tdx.quote.body.report_data')).toBe(input['report_data'])
    expect(at(input, 'tdx.td_attributes.debug')).toBe(false)
    expect(at(input, 'attestation')).toEqual(trees.attestation)
  })

  it('has events in the form of other verifiers, with details only of what digests bind', () => {
    const events = at(input, 'tpm.uefi_event_logs') as JsonObject[]
    expect(events.length).toBeGreaterThan(0)
    for (const event of events) {
      expect(event).toMatchObject({ index: expect.any(Number), type_name: expect.any(String) })
      expect(event['digests']).not.toEqual([])
      if (event['digest_bound'] !== true) expect(event).not.toHaveProperty('details')
    }
  })

  it('needs no documents but those of events', () => {
    const events = verifiedClaims(appraiseGuest(evidence, guest.inputs(seed)), evidence, {
      ...facts,
      documents: 'events',
    })
    expect(regoInputs('cpu', { trees: events })).toEqual(regoInputs('cpu', { trees }))
  })

  it('has what a workload wrote under names of its own, and nowhere else', () => {
    const forged = inputOf({ tdx: { tcb_status: 'forged' }, attestation: { simulated: false } })
    expect(forged['tdx']).toEqual(input['tdx'])
    expect(forged['attestation']).toEqual(input['attestation'])
  })

  it('has the members that docs/policy-rego.md lists, and no others', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/policy-rego.md'), 'utf8')
    const listed = new Set([...page.matchAll(/`input\.([a-z_]+)/g)].map(([, name]) => name))
    for (const name of Object.keys(input)) expect(listed).toContain(name)
  })
})
