import { describe, expect, it } from 'vitest'
import { nativeErrors } from '../../native/errors.ts'
import type { Tctildr } from '../../native/tctildr.ts'
import { planTpm, type TpmSettings } from './tpm-plan.ts'

const library: Tctildr = { initialize: () => Promise.reject(new Error('opens nothing')) }
const present = () => library
const absent = (): Tctildr => {
  throw nativeErrors.error('NATIVE_LIBRARY_MISSING', 'libtss2-tctildr.so.0 cannot be loaded')
}
const settings = (tcti: string, more: Partial<TpmSettings> = {}): TpmSettings => ({
  tcti,
  transport: 'auto',
  simulator: true,
  allowTcti: [],
  ...more,
})

describe('the way to the TPM (NAT-20)', () => {
  it.each([
    ['device:/dev/tpmrm0', present, 'tcti', 'libtss2-tctildr.so.0 (device:/dev/tpmrm0)', false],
    ['device', present, 'tcti', 'libtss2-tctildr.so.0 (device:/dev/tpmrm0)', false],
    ['device', absent, 'device', '/dev/tpmrm0', false],
    ['device:/dev/tpmrm1', absent, 'device', '/dev/tpmrm1', false],
    ['swtpm:path=/run/t', present, 'tcti', 'libtss2-tctildr.so.0 (swtpm:path=/run/t)', true],
    ['swtpm:path=/run/t', absent, 'swtpm', '/run/t', true],
    ['swtpm:host=tpm.test,port=2321', absent, 'swtpm', 'tpm.test:2321', true],
    ['swtpm:port=65535', absent, 'swtpm', '127.0.0.1:65535', true],
    ['tabrmd:bus_name=a', present, 'tcti', 'libtss2-tctildr.so.0 (tabrmd:bus_name=a)', false],
    ['mssim:host=h', present, 'tcti', 'libtss2-tctildr.so.0 (mssim:host=h)', true],
  ] as const)('%s goes by the table', (tcti, load, kind, place, simulated) => {
    expect(planTpm(settings(tcti), load)).toMatchObject({ kind, place, simulated })
  })

  it.each([
    ['tabrmd', absent, {}, 'TPM_TCTI_UNAVAILABLE'],
    ['mssim:host=h', absent, {}, 'TPM_TCTI_UNAVAILABLE'],
    ['device', absent, { transport: 'tcti' }, 'TPM_TRANSPORT'],
    ['device', present, { transport: 'swtpm' }, 'TPM_TRANSPORT'],
    ['swtpm:path=/run/t', present, { transport: 'device' }, 'TPM_TRANSPORT'],
    ['tabrmd', present, { transport: 'device' }, 'TPM_TRANSPORT'],
    ['swtpm:path=/run/t', present, { simulator: false }, 'TPM_SIMULATOR'],
    ['mssim', present, { simulator: false }, 'TPM_SIMULATOR'],
  ] as const)('%s with %o and %o is %s', (tcti, load, more, code) => {
    expect(() => planTpm(settings(tcti, more), load)).toThrow(expect.objectContaining({ code, kind: 'configuration' }))
  })

  it('forcing a transport that is possible never asks for the library', () => {
    const never = (): Tctildr => {
      throw new TypeError('was asked for')
    }
    expect(planTpm(settings('device', { transport: 'device' }), never).kind).toBe('device')
    expect(planTpm(settings('swtpm:path=/t', { transport: 'swtpm' }), never).kind).toBe('swtpm')
    expect(() => planTpm(settings('device'), never)).toThrow(TypeError)
  })
})

describe('the configuration string (NAT-21)', () => {
  it.each([
    ['', 'is empty'],
    [':path=/t', 'is empty'],
    ['cmd:sh -c id', "the name 'cmd' is not allowed"],
    ['pcap:device', "the name 'pcap' is not allowed"],
    ['libtss2-tcti-swtpm.so.0:path=/t', 'is not the name of a TCTI'],
    ['/tmp/evil.so', 'is not the name of a TCTI'],
    ['Device:/dev/tpmrm0', 'is not the name of a TCTI'],
    ['device:/dev/tpm\0rm0', 'NUL'],
    ['swtpm', 'takes path=P, or host=H,port=P'],
    ['swtpm:', 'takes path=P, or host=H,port=P'],
    ['swtpm:path=', 'takes path=P alone'],
    ['swtpm:path=/t,port=1', 'takes path=P alone'],
    ['swtpm:port=1,port=2', 'takes path=P, or host=H,port=P'],
    ['swtpm:host=h', 'the port is not 1 to 65535'],
    ['swtpm:host=h,port=0', 'the port is not 1 to 65535'],
    ['swtpm:host=h,port=65536', 'the port is not 1 to 65535'],
    ['swtpm:host=h,port=1e3x', 'the port is not 1 to 65535'],
    ['swtpm:locality=4,path=/t', 'takes path=P, or host=H,port=P'],
  ])('%o is refused', (tcti, says) => {
    expect(() => planTpm(settings(tcti), present)).toThrow(
      expect.objectContaining({ code: 'TPM_TCTI_CONFIG', message: expect.stringContaining(says) }),
    )
  })

  it('takes names that the operator allows', () => {
    expect(planTpm(settings('libtpms:x', { allowTcti: ['libtpms'] }), present).kind).toBe('tcti')
    expect(() => planTpm(settings('libtpmz:x', { allowTcti: ['libtpms'] }), present)).toThrow('not allowed')
  })
})
