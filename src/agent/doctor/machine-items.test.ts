import { describe, expect, it } from 'vitest'
import type { DeviceFact, HostFacts } from '../../platform/host-facts.ts'
import { machineItems, nodeItem } from './machine-items.ts'

const facts: HostFacts = {
  kernel: '6.12',
  distribution: 'Debian GNU/Linux 12',
  architecture: 'x64',
  hypervisor: 'KVM',
  devices: [],
  libraries: [{ soname: 'libtss2-tctildr.so.0', what: 'TPM by TCTI strings', found: true, problem: null }],
  hidepid: null,
}
const known = { identity: 'pidfd', degraded: null } as const
const device = (path: string, access: DeviceFact['access'] = 'usable'): DeviceFact => ({ path, what: 'x', access })

const itemNamed = (id: string, ...given: Parameters<typeof machineItems>) =>
  machineItems(...given).find((item) => item.id === id)

describe('the machine', () => {
  it.each([
    ['20.19.0', 'ok'],
    ['20.18.9', 'problem'],
    ['18.20.0', 'problem'],
    ['22.0.0', 'ok'],
    ['26.1.0', 'ok'],
    ['unknown', 'problem'],
  ])('Node %s is: %s', (version, state) => {
    expect(nodeItem(version).state).toBe(state)
  })

  it('without libtss2-tctildr is still fine: device: and swtpm: need none', () => {
    const libraries = facts.libraries.map((library) => ({ ...library, found: false }))
    expect(itemNamed('tctildr', { ...facts, libraries }, known)).toMatchObject({ state: 'ok' })
    expect(itemNamed('tctildr', { ...facts, libraries: [] }, known)?.says).toContain('not found')
  })

  it('tells how callers are known, and warns where they are not (API-55, API-56)', () => {
    expect(itemNamed('callers', facts, known)).toMatchObject({ state: 'ok', says: 'callers are known by pidfd' })
    expect(itemNamed('callers', facts, { ...known, identity: 'procfs' })?.says).toContain('SO_PEERPIDFD')
    const degraded = { message: 'koffi is missing', remedy: 'install it' }
    expect(itemNamed('callers', facts, { identity: 'socket', degraded })).toMatchObject({
      state: 'warning',
      says: 'callers cannot be told apart: koffi is missing',
      remedy: 'install it',
    })
    expect(itemNamed('callers', { ...facts, hidepid: 'hidepid=2' }, known)).toMatchObject({
      state: 'warning',
      says: expect.stringContaining('hidepid=2'),
    })
  })

  it('says of what it sees and cannot attest yet that it cannot', () => {
    const devices = [
      device('/dev/tdx_guest', 'refused'),
      device('/sys/kernel/config/tsm/report', 'absent'),
      device('/dev/nvidiactl'),
      device('/dev/nvidia0'),
    ]
    const seen = machineItems({ ...facts, devices }, known).filter(({ state }) => state === 'warning')
    expect(seen.map(({ id, says }) => [id, says])).toEqual([
      ['gpu', 'an NVIDIA GPU (/dev/nvidiactl, /dev/nvidia0): not supported by this version'],
    ])
    const none = devices.map((one) => ({ ...one, access: 'absent' as const }))
    expect(machineItems({ ...facts, devices: none }, known).map(({ id }) => id)).toEqual(['host', 'tctildr', 'callers'])
  })
})
