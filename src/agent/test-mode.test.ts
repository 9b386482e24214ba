import { describe, expect, it } from 'vitest'
import { requireNoService, requireSimulated } from './test-mode.ts'

type Guest = Parameters<typeof requireSimulated>[0]

describe('test mode (BRK-170)', () => {
  it.each(['INVOCATION_ID', 'NOTIFY_SOCKET', 'LISTEN_PID'])('is refused to what a service manager runs: %s', (name) => {
    expect(() => requireNoService({ PATH: '/bin', [name]: '1' })).toThrow(
      expect.objectContaining({ code: 'TEST_MODE_IN_SERVICE', message: expect.stringContaining(name) }),
    )
    expect(() => requireNoService({ PATH: '/bin' })).not.toThrow()
  })

  it('is refused where one device is real, whatever the other is (BRK-171)', () => {
    // Of a wiring only what is looked at.
    const device = (simulated: boolean) => ({ place: '/dev/tpmrm0', simulated })
    const guest = (tpm: object | null, td: object | null) => ({ tpm, td }) as unknown as Guest
    for (const real of [guest(device(false), null), guest(device(true), device(false)), guest(null, device(false))]) {
      expect(() => requireSimulated(real)).toThrow(expect.objectContaining({ code: 'TEST_MODE_REAL_DEVICE' }))
    }
    for (const allowed of [guest(device(true), null), guest(device(true), device(true)), guest(null, device(true))]) {
      expect(() => requireSimulated(allowed)).not.toThrow()
    }
  })
})
