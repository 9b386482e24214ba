import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { tokenRequest } from '../../test/support/fake-token-source.ts'

const audience = (n: number) => ({ audience: [`https://${n}.example`] })
const audiencesIn = (rig: BrokerRig) => rig.broker.status().entries.map((entry) => entry.audience[0])

describe('capacity (BRK-04)', () => {
  it('one caller has 16 entries, then its own oldest goes', async () => {
    const rig = new BrokerRig()
    await rig.ask(audience(99), { caller: 'other' })
    for (let n = 0; n < 17; n++) await rig.ask(audience(n), { caller: 'greedy' })
    expect(audiencesIn(rig)).toHaveLength(17)
    expect(audiencesIn(rig)).toContain('https://99.example')
    expect(audiencesIn(rig)).not.toContain('https://0.example')
    expect(audiencesIn(rig)).toContain('https://1.example')
  })

  it('256 in all, then what was used least lately goes', async () => {
    const rig = new BrokerRig()
    for (let n = 0; n < 256; n++) {
      await rig.clock.advance(1)
      await rig.ask(audience(n), { caller: `uid:${n}` })
    }
    await rig.clock.advance(1)
    await rig.ask(audience(0), { caller: 'uid:5' })
    await rig.ask(audience(256), { caller: 'uid:256' })
    expect(audiencesIn(rig)).toHaveLength(256)
    expect(audiencesIn(rig)).toContain('https://0.example')
    expect(audiencesIn(rig)).not.toContain('https://1.example')
  })

  it('expired goes before idle before used', async () => {
    const rig = new BrokerRig({ limits: { entries: 3 } })
    rig.source.behaviour = { kind: 'issue', lifeS: 100 }
    await rig.ask(audience(1))
    rig.source.behaviour = { kind: 'issue', lifeS: 2_000 }
    await rig.ask(audience(2))
    await rig.ask(audience(3))
    await rig.clock.advance(100_000)
    await rig.ask(audience(2))
    await rig.ask(audience(4))
    expect(audiencesIn(rig)).toEqual(['https://2.example', 'https://3.example', 'https://4.example'])
  })

  it('expired goes though it was used later than what is valid', async () => {
    const rig = new BrokerRig({ limits: { entries: 2 } })
    rig.source.behaviour = { kind: 'issue', lifeS: 2_000 }
    await rig.ask(audience(1))
    rig.source.behaviour = { kind: 'issue', lifeS: 100 }
    await rig.clock.advance(1_000)
    await rig.ask(audience(2))
    await rig.clock.advance(100_000)
    await rig.ask(audience(3))
    expect(audiencesIn(rig)).toEqual(['https://1.example', 'https://3.example'])
  })

  it('idle goes though it was used later than what is wanted (BRK-71)', async () => {
    const rig = new BrokerRig({ limits: { entries: 2 } }).keepFresh()
    rig.source.behaviour = { kind: 'issue', lifeS: 80_000 }
    await rig.ask(audience(1))
    rig.source.behaviour = { kind: 'issue', lifeS: 300 }
    await rig.clock.advance(1_000)
    await rig.ask(audience(2))
    const state = () => rig.broker.describe(tokenRequest(audience(2))).state
    for (let second = 0; second < 900 && state() !== 'idle'; second++) await rig.clock.advance(1_000)
    expect(state()).toBe('idle')
    await rig.ask(audience(3))
    expect(audiencesIn(rig)).toEqual(['https://1.example', 'https://3.example'])
    await rig.stop()
  })

  it('a new token of an existing entry displaces nobody (I13)', async () => {
    const rig = new BrokerRig({ limits: { entries: 4, entriesPerCaller: 4 } })
    for (let n = 0; n < 4; n++) await rig.ask(audience(n))
    const before = audiencesIn(rig)
    await rig.clock.advance(300_000)
    for (let n = 0; n < 4; n++) {
      expect((await rig.ask(audience(n), { minValidS: 890 })).served?.generation).toBe(2)
      expect(audiencesIn(rig)).toEqual(before)
    }
  })

  it('declared entries do not count and stay', async () => {
    const warm = [tokenRequest(audience(1)), tokenRequest(audience(2))]
    const rig = new BrokerRig({ warm, limits: { entries: 1, entriesPerCaller: 1 } }).keepFresh()
    await rig.clock.advance(2_000)
    for (let n = 3; n < 9; n++) await rig.ask(audience(n))
    expect(audiencesIn(rig)).toEqual(['https://1.example', 'https://2.example', 'https://8.example'])
    await rig.stop()
  })

  it('what somebody waits for stays: who finds no room is told so', async () => {
    const rig = new BrokerRig({ limits: { entriesPerCaller: 2 } })
    rig.source.behaviour = { kind: 'issue', afterMs: 100 }
    const asked = [1, 2, 3].map((n) => rig.send(audience(n)))
    const other = rig.send(audience(4), { caller: 'other' })
    await rig.clock.advance(100)
    expect(asked.map(({ served, error }) => served?.audience[0] ?? error.code)).toEqual([
      'https://1.example',
      'https://2.example',
      'quote_queue_full',
    ])
    expect(other.served).toBeDefined()
    expect(rig.source.calls).toHaveLength(3)
  })

  it('an entry that goes takes its refresh with it', async () => {
    const rig = new BrokerRig({ limits: { entriesPerCaller: 1 } }).keepFresh()
    await rig.ask(audience(1))
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(600_000)
    expect(rig.source.active).toHaveLength(1)
    rig.source.behaviour = { kind: 'issue' }
    await rig.ask(audience(2))
    expect(rig.source.active).toHaveLength(0)
    await rig.stop()
  })
})
