import { describe, expect, it } from 'vitest'
import { EmbeddedMachine, embeddedRequest, type MachineOptions } from '../../../test/support/embedded-machine.ts'
import { AttestdError } from '../../base/errors.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { nameOf } from '../../evidence/tpm/public-area.ts'
import type { RegistryStore } from '../../registry/registry-store.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import { spkiOfKey } from '../../verifier/tpm/key-certificate.ts'
import { recordJudge } from './daily-recheck.ts'
import { enrolmentInputs } from './enrolment-inputs.ts'

const never = new AbortController().signal

/** An agent that keeps what it knows of TPMs in a store that others use as well. */
async function agentAt(store: RegistryStore, options: MachineOptions) {
  const machine = new EmbeddedMachine(options)
  machine.useStore(store)
  const { source } = await machine.sourceAndKeys()
  const { settings, ...parts } = machine.enrolmentParts()
  const registry = new TpmRegistry(parts)
  return {
    machine,
    registry,
    state: async () => (await registry.describe(nameOf(machine.tpm.ak.area)))?.state,
    /** The daily check of this agent, with what its own configuration trusts. */
    recheck: () => registry.recheck(recordJudge(() => enrolmentInputs(settings, machine.clock.now()))),
    outcome: async () => {
      try {
        await source.obtainToken(embeddedRequest(), never)
        return 'issued'
      } catch (error) {
        if (!(error instanceof AttestdError)) throw error
        return String(error.facts['upstream_code'] ?? error.code)
      }
    },
  }
}

const called = (CN: string) => ({ certificate: { subject: { O: 'Example', CN } } })

describe('two agents with one registry', () => {
  it('of which one does not trust what vouches for the other: it enrols again by what it trusts itself', async () => {
    const { store, tpm } = new EmbeddedMachine(called('i-2'))
    const pin = sha256Hex(spkiOfKey(tpm.ek.area))
    const options = { ...called('i-2'), tpm, trust: { anchors: [] }, verifier: { ek_pinned: [pin] } }
    const [other, own] = [await agentAt(store, called('i-1')), await agentAt(store, options)]
    expect([await own.outcome(), await other.outcome()]).toEqual(['issued', 'issued'])
    expect(await other.recheck()).toBe(1)
    expect(await own.state()).toMatchObject({ is: 'suspended', reason: 'certificate_untrusted' })
    expect(await own.outcome()).toBe('issued')
    expect(await own.state()).toEqual({ is: 'active' })
  })

  it('counters and decisions of operators stay through it', async () => {
    const { machine, registry, recheck, outcome, state } = await agentAt(new EmbeddedMachine().store, called('i-1'))
    await outcome()
    const ak = nameOf(machine.tpm.ak.area)
    const before = await registry.describe(ak)
    await registry.recheck(() => 'certificate_untrusted')
    machine.tpm.counters = { ...machine.tpm.counters, resetCount: 0 }
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED')
    expect((await registry.describe(ak))?.counters).toEqual(before?.counters)
    await registry.suspend(ak)
    expect([await outcome(), await recheck()]).toEqual(['enrolment_state', 0])
    expect(await state()).toMatchObject({ is: 'suspended', reason: 'operator' })
  })

  it('a certificate that this agent does not trust either is not enrolled again', async () => {
    const { store, tpm } = new EmbeddedMachine()
    const before = await agentAt(store, { ...called('i-1'), tpm })
    expect(await before.outcome()).toBe('issued')
    const now = await agentAt(store, { ...called('i-1'), tpm, trust: { anchors: [] } })
    expect(await now.recheck()).toBe(1)
    expect(await now.outcome()).toBe('ENROLMENT_NOT_AFFIRMED')
    expect(await now.state()).toMatchObject({ is: 'suspended', reason: 'certificate_untrusted' })
  })

  it('what has expired for another one is enrolled again where it has not for this one', async () => {
    const { registry, outcome, state } = await agentAt(new EmbeddedMachine().store, called('i-1'))
    await outcome()
    expect(await registry.recheck(() => 'certificate_expired')).toBe(1)
    expect([await outcome(), await state()]).toEqual(['issued', { is: 'active' }])
  })

  it('what another one knows to be revoked rests: its lists may be newer', async () => {
    const { registry, outcome, state } = await agentAt(new EmbeddedMachine().store, called('i-1'))
    await outcome()
    expect(await registry.recheck(() => 'certificate_revoked')).toBe(1)
    expect([await outcome(), await outcome()]).toEqual(['enrolment_state', 'enrolment_state'])
    expect(await state()).toMatchObject({ is: 'suspended', reason: 'certificate_revoked' })
  })
})
