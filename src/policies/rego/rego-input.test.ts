import { describe, expect, it } from 'vitest'
import { encodeInput, longestInput, UnfitInput } from './input-text.ts'
import { type RegoEvidence, regoInputs } from './rego-input.ts'

const attestation = { type: 'tdx', time: 1_790_000_000, simulated: false }

const inputOf = (evidence: RegoEvidence): unknown => {
  const [only, ...others] = regoInputs('cpu', evidence)
  expect(others).toEqual([])
  return JSON.parse(new TextDecoder().decode(encodeInput(only ?? {})))
}

describe('the input document of a guest (POL-962)', () => {
  it('has the trees of the verifier, nested, and nothing that is not known', () => {
    const tdx = { quote: { body: { mr_td: 'aa' } }, tcb_status: 'UpToDate', advisory_ids: [], tcb_date: null }
    expect(inputOf({ trees: { attestation, tdx, report_data: 'bb', init_data: 'cc' } })).toEqual({
      attestation,
      tdx,
      report_data: 'bb',
      init_data: 'cc',
    })
    expect(inputOf({ trees: { attestation } })).toEqual({ attestation })
  })

  it('has what the workload wrote beside it, under names of its own', () => {
    const evidence = {
      trees: { attestation },
      initDataClaims: { a: 1 },
      runtimeDataClaims: { tdx: { tcb_status: 'forged' } },
    }
    expect(inputOf(evidence)).toEqual({
      attestation,
      init_data_claims: { a: 1 },
      runtime_data_claims: { tdx: { tcb_status: 'forged' } },
    })
  })

  it('has the registers of a TPM by two digits', () => {
    const pcr = Object.fromEntries(Array.from({ length: 24 }, (_, index) => [index, `v${index}`]))
    const { tpm } = inputOf({ trees: { attestation, tpm: { ak_trusted: true, pcr } } }) as {
      tpm: Record<string, string>
    }
    expect(tpm).toMatchObject({ ak_trusted: true, pcr, pcr00: 'v0', pcr09: 'v9', pcr10: 'v10', pcr23: 'v23' })
  })

  it('has the events of a log, with details only where the digest binds them', () => {
    const bound = (ProcessedData: object, more: object = {}) => ({
      EventSeq: 0,
      PcrIndex: 1,
      EventTypeString: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
      DigestBound: true,
      Digests: { SHA384: 'dd' },
      ProcessedData,
      ...more,
    })
    const Events = [
      bound({ VariableGuid: '8BE4DF61', UnicodeName: 'SecureBoot', VariableData: 'AQ' }),
      bound(
        { String: 'kernel_cmdline: ro' },
        { Digests: { SHA1: 'a', SHA256: 'b', SHA384: 'c', SHA512: 'd', MD5: 'e' } },
      ),
      bound({ DevicePath: '\\EFI\\BOOT' }),
      bound({ String: 'Kernel' }, { DigestBound: false, UnboundLabel: 'grub_cmd: ' }),
      bound({ VariableData: '-_8' }),
    ]
    const { tdx } = inputOf({ trees: { attestation, tdx: { a: 1 }, documents: { 'tdx.events': { Events } } } }) as {
      tdx: { uefi_event_logs: Record<string, unknown>[] }
    }
    expect(tdx.uefi_event_logs[0]).toEqual({
      index: 1,
      type_name: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
      digest_bound: true,
      digests: [{ alg: 'SHA-384', digest: 'dd' }],
      details: { variable_name: '8BE4DF61', unicode_name: 'SecureBoot', variable_data: 'AQ==' },
    })
    expect(tdx.uefi_event_logs[1]).toMatchObject({
      digests: [
        { alg: 'SHA-1', digest: 'a' },
        { alg: 'SHA-256', digest: 'b' },
        { alg: 'SHA-384', digest: 'c' },
        { alg: 'SHA-512', digest: 'd' },
      ],
      details: { string: 'kernel_cmdline: ro' },
    })
    expect(tdx.uefi_event_logs[3]).toMatchObject({ digest_bound: false, unbound_label: 'grub_cmd: ' })
    expect(tdx.uefi_event_logs.map(({ details }) => details).slice(2)).toEqual([
      { device_paths: ['\\EFI\\BOOT'] },
      undefined,
      { variable_data: '+/8=' },
    ])
  })

  it('has a log of the TPM in its tree, and none where there is no tree or no log', () => {
    const Events = [{ PcrIndex: 4, EventTypeString: 'EV_SEPARATOR', DigestBound: true, Digests: { SHA256: 'a' } }]
    const documents = { 'tpm.events': { Events } }
    expect(inputOf({ trees: { attestation, tpm: {}, documents } })).toMatchObject({
      tpm: { uefi_event_logs: [{ index: 4 }] },
    })
    expect(inputOf({ trees: { attestation, tdx: {}, documents } })).toEqual({ attestation, tdx: {} })
    expect(inputOf({ trees: { attestation, tpm: {} } })).toEqual({ attestation, tpm: {} })
  })
})

describe('input documents of devices (POL-962)', () => {
  const evidence: RegoEvidence = {
    trees: { attestation, tdx: {} },
    devices: [
      { kind: 'gpu', claims: { ueid: '1' } },
      { kind: 'switch', claims: { ueid: '2' } },
      { kind: 'gpu', claims: { ueid: '3' } },
    ],
  }

  it('are one for each device of the class', () => {
    const inputs = (...of: Parameters<typeof regoInputs>) => regoInputs(...of).map((input) => JSON.stringify(input))
    const [one, two, three] = ['1', '2', '3'].map((ueid) => JSON.stringify({ nvidia: { ueid } }))
    expect(inputs('gpu', evidence)).toEqual([one, three])
    expect(inputs('switch', evidence)).toEqual([two])
    expect(inputs('ppcie', evidence)).toEqual([one, two, three])
    expect(inputs('gpu', { trees: { attestation } })).toEqual([])
  })
})

describe('the text of a document', () => {
  const textOf = (document: object) => new TextDecoder().decode(encodeInput(document))

  it('is the JSON of it, with integers of any size', () => {
    const document = { a: [1, -1.5, 'é"\u0000', true, null, {}, []], b: { c: 'd' } }
    expect(textOf(document)).toBe(JSON.stringify(document))
    expect(textOf({ ...document, c: 1n })).toBe(JSON.stringify({ ...document, c: 1 }))
    expect(textOf({ a: undefined, b: 1n, c: [undefined] })).toBe('{"b":1,"c":[null]}')
    expect(textOf({ a: [2n ** 63n - 1n, -(2n ** 63n)] })).toBe('{"a":[9223372036854775807,-9223372036854775808]}')
    expect(textOf(JSON.parse('{"__proto__":1,"constructor":2}'))).toBe('{"__proto__":1,"constructor":2}')
    expect(textOf({ a: undefined, b: '\ud800' })).toBe('{"b":"\\ud800"}')
  })

  it('has at most 16 MiB, counted in bytes, and 32 levels (POL-606)', () => {
    const long = (length: number, of = 'x') => ({ a: of.repeat(length - 8) })
    expect(encodeInput(long(longestInput))).toHaveLength(longestInput)
    expect(() => encodeInput(long(longestInput + 1))).toThrow(UnfitInput)
    expect(() => encodeInput(long(longestInput - 100, 'é'))).toThrow(UnfitInput)
    const nested = (levels: number): object => (levels === 1 ? {} : { a: nested(levels - 1) })
    expect(textOf(nested(32))).toContain('{}')
    expect(() => encodeInput(nested(33))).toThrow(UnfitInput)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, () => 1, Symbol('a')])('%s is a bug', (value) => {
    expect(() => encodeInput({ value })).toThrow(TypeError)
  })
})
