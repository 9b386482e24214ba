import { describe, expect, it } from 'vitest'
import { event, healthyBoot, image, measuredBoot, taggedData, wide } from '../../../test/support/measured-boot.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { inspectEventLog } from './event-logs.ts'
import type { Inspection } from './inspection.ts'

const short = { whole: false }
const lines = ({ fields }: Inspection) =>
  fields.map(({ depth, name, value }) => `${'  '.repeat(depth)}${name} ${value}`)
const of = ({ fields }: Inspection, name: string) => fields.filter((field) => field.name === name)

describe('an event log', () => {
  const boot = healthyBoot()
  const { log, quoted } = measuredBoot(boot)

  it('is a table by registers, with what each digest covers', () => {
    const table = lines(inspectEventLog(log, short))
    const start = table.indexOf('PCR 4 3 events')
    expect(table.slice(start + 1, start + 5).map((line) => line.replace(/ +/g, ' '))).toEqual([
      ' event 8 EV_EFI_ACTION data Calling EFI Application from Boot Option',
      ' event 13 EV_SEPARATOR data 00000000',
      ' event 17 EV_EFI_BOOT_SERVICES_APPLICATION none',
      'PCR 5 2 events',
    ])
    expect(table.join('\n')).toMatch(/event 21 +EV_IPL +grub +\/vmlinuz ro\n/)
  })

  it('says where every register is led to, in every bank', () => {
    const inspection = inspectEventLog(log, short)
    expect(of(inspection, 'PCR 9').map(({ value }) => value)).toEqual([
      '1 event',
      toHex(quoted.get('sha1')?.get(9) ?? new Uint8Array()),
      toHex(quoted.get('sha256')?.get(9) ?? new Uint8Array()),
    ])
  })

  it('ends with secure boot and the boot chain', () => {
    const inspection = inspectEventLog(log, short)
    expect(of(inspection, '(secure boot)')).toMatchObject([{ value: 'enabled' }])
    expect(of(inspection, 'PK')).toMatchObject([{ value: '1 bytes, which are no list of signatures' }])
    const shim = toHex(digestOf('sha256', new TextEncoder().encode('shim')))
    expect(of(inspection, 'image').map(({ value }) => value)).toEqual([`event 17  sha256:${shim}`])
    expect(of(inspection, 'command line')).toMatchObject([{ value: '/vmlinuz ro' }])
    expect(of(inspection, '(problems)')).toEqual([])
  })

  it('shows digests and bytes of every event where it is shown whole', () => {
    const whole = inspectEventLog(log, { whole: true })
    expect(of(whole, '(bound)')).toHaveLength(boot.length)
    // A line of the event, two digests, data, and the verdict; two texts of a boot loader beside them.
    expect(whole.fields.filter(({ depth }) => depth === 2).length).toBeGreaterThanOrEqual(boot.length * 4 + 2)
    expect(of(whole, '(measured text)').map(({ value }) => value)).toEqual(['linux /vmlinuz ro', '/vmlinuz ro'])
  })

  it('names what breaks the rules, and what is missing', () => {
    const bad = [...boot.slice(2), event(3, 4, new Uint8Array(4)), event(5, 0x80000007, 'x', Uint8Array.of(1))]
    const inspection = inspectEventLog(measuredBoot(bad).log, short)
    expect(of(inspection, '(secure boot)')).toMatchObject([{ value: 'unknown: SecureBoot is missing' }])
    expect(of(inspection, 'problem').map(({ value }) => value)).toEqual([
      expect.stringContaining('(PCR 5, EV_EFI_ACTION) is not that of its data'),
      expect.stringContaining('(PCR 3, EV_SEPARATOR) is the second one of its PCR'),
    ])
  })

  it('tells load options of a kernel where a hint says what was measured (ELOG-20)', () => {
    const data = taggedData(0x8f3b22ed, new TextEncoder().encode('LOADED_IMAGE::LoadOptions\0'))
    const { log: stub } = measuredBoot([event(9, 6, data, wide('quiet ro\0'))])
    const shown = (hint?: string) =>
      of(inspectEventLog(stub, short, hint), 'load options of the kernel').map(({ value }) => value)
    expect([shown(), shown('quiet ro'), shown('quiet')]).toEqual([
      ['(not in the log)'],
      ['quiet ro'],
      ['(not in the log)'],
    ])
  })

  it('of a register with many events shows 200, and all of them where it is shown whole', () => {
    const { log: long } = measuredBoot(Array.from({ length: 203 }, (_, at) => image(4, String(at))))
    const count = (inspection: Inspection) => inspection.fields.filter(({ name }) => /^event \d/.test(name)).length
    const cut = inspectEventLog(long, short)
    expect([count(cut), of(cut, '(3 events not shown)').length]).toEqual([200, 1])
    expect(count(inspectEventLog(long, { whole: true }))).toBe(203)
  })

  it('has one field for each event of a hostile name, which the command escapes', () => {
    const name = concatBytes(new TextEncoder().encode('grub_cmd: a\x1b[31m\n'), new Uint8Array(1))
    const inspection = inspectEventLog(
      measuredBoot([event(8, 0x0d, name, new TextEncoder().encode('a\x1b[31m\n'))]).log,
      short,
    )
    expect(of(inspection, 'event 0')).toHaveLength(1)
  })
})

describe.skipIf(!haveVectors)('the log of a real machine', () => {
  const inspection = haveVectors
    ? inspectEventLog(vector('tpm/eventlogs/rhel8-gce.bin'), short)
    : { kind: '', fields: [] }

  it('names the certificates of secure boot and what was used of them', () => {
    const certificates = of(inspection, 'certificate').map(({ value }) => value)
    expect(certificates).toHaveLength(7)
    expect(certificates[1]).toContain('CN=Microsoft Corporation KEK CA 2011')
    expect(of(inspection, '(175 digests not shown)')).toHaveLength(1)
    const authorities = of(inspection, 'authority').map(({ value }) => value)
    expect(authorities).toEqual([
      expect.stringMatching(/^event 20 {2}data {2}db {2}.*CN=Microsoft Corporation UEFI CA 2011$/),
      expect.stringMatching(/^event 26 {2}data {2}Shim {2}.*CN=Red Hat Secure Boot CA 5/),
    ])
  })

  it('names the device paths of images, and says that nothing measures them', () => {
    const images = of(inspection, 'image').map(({ value }) => value)
    expect(images[0]).toMatch(
      /HD\(1,GPT,ef72374c-2630-46a1-88d6-082693781140,0x800,0x64000\)\/\\EFI\\redhat\\shimx64\.efi \(name not measured\)$/,
    )
    expect(images[1]).toMatch(/\\EFI\\redhat\\grubx64\.efi \(name not measured\)$/)
    expect(images[2]).toMatch(/^event 76 {2}sha384:[0-9a-f]{96}$/)
  })
})
