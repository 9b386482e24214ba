import { describe, expect, it } from 'vitest'
import { configurationSchema } from '../configuration/schema.ts'
import { planGuest } from './guest-plan.ts'

const [tpmDevice, tdDevice] = ['/dev/tpmrm0', '/dev/tdx_guest']

function plan(sections: Readonly<Record<string, unknown>>, ...devices: readonly string[]) {
  const configuration = configurationSchema.parse({ issuer: { url: 'https://x.example' }, ...sections })
  const { tpm, td } = planGuest(configuration, (path) => devices.includes(path))
  return [...(td ? ['td'] : []), ...(tpm ? ['tpm'] : [])].join('+')
}

const use = (tdx: string, tpm: string) => ({ tdx: { use: tdx }, tpm: { use: tpm } })

describe('the devices that are part of the evidence', () => {
  it.each([
    ['auto', 'auto', [tpmDevice, tdDevice], 'td+tpm'],
    ['auto', 'auto', [tdDevice], 'td'],
    ['auto', 'auto', [tpmDevice], 'tpm'],
    ['auto', 'auto', [], 'tpm'],
    ['off', 'auto', [tdDevice], 'tpm'],
    ['auto', 'off', [tpmDevice, tdDevice], 'td'],
    ['auto', 'off', [tpmDevice], ''],
    ['required', 'auto', [], 'td'],
    ['required', 'auto', [tpmDevice], 'td+tpm'],
    ['required', 'required', [], 'td+tpm'],
    ['auto', 'required', [tdDevice], 'td+tpm'],
    ['off', 'off', [tpmDevice, tdDevice], ''],
  ])('tdx.use = %s, tpm.use = %s, with %j: %s', (tdx, tpm, devices, expected) => {
    expect(plan(use(tdx, tpm), ...devices)).toBe(expected)
  })

  it('are there where the configuration names them explicitly', () => {
    expect(plan({ tpm: { tcti: 'swtpm:path=/x' } })).toBe('tpm')
    expect(plan({ tdx: { simulator_socket: '/x' } })).toBe('td')
    expect(plan({ tdx: { simulator_socket: '/x' }, tpm: { tcti: 'swtpm:path=/x' } })).toBe('td+tpm')
  })
})
