import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  databaseGuid,
  event,
  globalGuid,
  healthyBoot,
  image,
  ipl,
  measuredBoot,
  secureBootEvents,
  sha256List,
  shimGuid,
  signatureList,
  taggedData,
  variableData,
  wide,
  x509List,
} from '../../../test/support/measured-boot.ts'
import type { MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { digestOf, type HashName } from '../../evidence/tpm/algorithms.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { type EventLogOptions, type EventLogVerdicts, judgeEventLogBytes } from './event-log-verdicts.ts'

const options: EventLogOptions = { imaPcr: 10 }
const bytes = (text: string) => new TextEncoder().encode(text)
const zeros = (size: number): Uint8Array => new Uint8Array(size)

function judge(events: readonly MeasuredEvent[], banks: readonly HashName[] = ['sha1', 'sha256']): EventLogVerdicts {
  const { log, quoted } = measuredBoot(events, banks)
  return judgeEventLogBytes(log, quoted, options)
}

const failed = ({ verdicts }: EventLogVerdicts) =>
  verdicts.flatMap(([id, { ok }]) => (ok ? [] : [id.replace('tpm.eventlog.', '')]))
const detailOf = ({ verdicts }: EventLogVerdicts, id: string) => verdicts.find(([one]) => one.endsWith(id))?.[1].detail

const healthy = healthyBoot()
const indexOf = (wanted: (event: MeasuredEvent) => boolean) => healthy.findIndex(wanted)
const replaced = (at: number, change: Partial<MeasuredEvent>) =>
  healthy.map((one, index) => (index === at ? { ...one, ...change } : one))
const inserted = (at: number, ...more: MeasuredEvent[]) => [...healthy.slice(0, at), ...more, ...healthy.slice(at)]
const separatorOf = (pcr: number) => indexOf((one) => one.type === eventTypes.separator && one.pcr === pcr)
const secureBootAt = indexOf(({ type }) => type === eventTypes.variableDriverConfig)
const configuration = (name: string, guid: string, value = zeros(0)) =>
  event(7, eventTypes.variableDriverConfig, variableData(guid, name, value))
const locality = (value: number) =>
  event(0, eventTypes.noAction, concatBytes(bytes('StartupLocality\0'), Uint8Array.of(value)))
const lastByteFlipped = (data: Uint8Array) =>
  Uint8Array.from(data, (byte, at) => (at === data.length - 1 ? byte ^ 1 : byte))

/** The event at `at` is measured as it was, and logged with other data. */
const withOtherData = (at: number, change = lastByteFlipped) => {
  const { data = zeros(0), measured = data } = healthy[at] ?? {}
  return replaced(at, { data: change(data), measured })
}

it('a healthy boot passes every check', () => {
  const verdicts = judge(healthy)
  expect(failed(verdicts)).toEqual([])
  expect(verdicts.verdicts).toHaveLength(8)
  expect(detailOf(verdicts, 'secureBoot')).toBe('secure boot is enabled')
  expect(detailOf(verdicts, 'replay')).toBe('accounts for all quoted registers from 0 to 7, leaves open no register')
})

type Row = readonly [what: string, events: readonly MeasuredEvent[], ids: readonly string[], says: string]
const at = {
  action: indexOf(({ type }) => type === eventTypes.efiAction),
  boot: indexOf(({ type }) => type === eventTypes.variableBoot),
  authority: indexOf(({ type }) => type === eventTypes.variableAuthority),
}
const separatorEvent = (pcr: number) => event(pcr, eventTypes.separator, zeros(4))

describe('one change of a healthy log makes exactly these checks fail (TT-1)', () => {
  const rows: readonly Row[] = [
    // ELOG-12
    [
      'the SecureBoot variable',
      withOtherData(secureBootAt),
      ['payloads'],
      'event 1 (PCR 7, EV_EFI_VARIABLE_DRIVER_CONFIG)',
    ],
    ['an action', withOtherData(at.action), ['payloads'], '(PCR 4, EV_EFI_ACTION)'],
    ['a boot variable', withOtherData(at.boot), ['payloads'], '(PCR 1, EV_EFI_VARIABLE_BOOT)'],
    ['an authority', withOtherData(at.authority), ['payloads'], '(PCR 7, EV_EFI_VARIABLE_AUTHORITY)'],
    [
      'a partition table',
      [...healthy, event(5, eventTypes.gptEvent, 'x', bytes('y'))],
      ['payloads'],
      'EV_EFI_GPT_EVENT',
    ],
    ['a newer one', [...healthy, event(5, eventTypes.gptEvent2, 'x', bytes('y'))], ['payloads'], 'EV_EFI_GPT_EVENT2'],
    [
      'a boot variable of which the value alone was measured, under the newer type',
      replaced(at.boot, { type: eventTypes.variableBoot2 }),
      ['payloads'],
      'EV_EFI_VARIABLE_BOOT2',
    ],
    [
      'a configuration of which the value alone was measured',
      inserted(
        secureBootAt,
        event(7, eventTypes.variableDriverConfig, variableData(globalGuid, 'X', bytes('v')), bytes('v')),
      ),
      ['payloads'],
      'EV_EFI_VARIABLE_DRIVER_CONFIG',
    ],
    // ELOG-14
    ['a second separator', [...healthy, separatorEvent(3)], ['separators'], 'is the second one of its PCR'],
    ['a second one of PCR 0', [...healthy, separatorEvent(0)], ['separators'], 'is the second one of its PCR'],
    [
      'a separator of an error',
      replaced(separatorOf(2), { data: zeros(4).fill(0xff) }),
      ['separators'],
      'says that the firmware met an error',
    ],
    ['a separator of PCR 0 with text', replaced(separatorOf(0), { data: bytes('WBCL') }), ['separators'], '5742434c'],
    ['a separator of five zeros', replaced(separatorOf(0), { data: zeros(5) }), ['separators'], '0000000000'],
    // ELOG-15
    ['a separator with text', replaced(separatorOf(2), { data: bytes('WBCL') }), ['separators', 'types'], 'WBCL'],
    [
      'a separator that is called an action',
      replaced(separatorOf(3), { type: eventTypes.efiAction }),
      ['types'],
      'has the digest of a separator in sha1',
    ],
    ['one that is called something unknown', replaced(separatorOf(3), { type: 0x1234 }), ['types'], '0x00001234'],
    ['an error that is called an action', [...healthy, event(3, 5, zeros(4).fill(0xff))], ['types'], 'EV_ACTION'],
    // SB-02
    [
      'the separator of PCR 7 called an action',
      replaced(separatorOf(7), { type: eventTypes.efiAction }),
      ['types', 'secureBoot'],
      'has the digest of a separator',
    ],
    ['a second separator of PCR 7', [...healthy, separatorEvent(7)], ['separators', 'secureBoot'], 'second one'],
    ['a variable twice', inserted(secureBootAt, configuration('KEK', globalGuid)), ['secureBoot'], 'has KEK again'],
    [
      'a known name under another GUID',
      inserted(secureBootAt, configuration('db', globalGuid)),
      ['secureBoot'],
      `has db under the GUID ${globalGuid}`,
    ],
    [
      'configuration behind the separator',
      [...healthy, configuration('dbt', databaseGuid)],
      ['secureBoot'],
      'stands behind the separator',
    ],
    ['SecureBoot of 2', healthyBoot({ SecureBoot: Uint8Array.of(2) }), ['secureBoot'], 'other than 00 and 01'],
    ['SecureBoot of two bytes', healthyBoot({ SecureBoot: zeros(2) }), ['secureBoot'], 'other than 00 and 01'],
    // ELOG-06
    ['the locality behind a measurement', [...healthy, locality(0)], ['locality'], 'after a measurement into PCR 0'],
  ]

  it.each(rows)('%s', (_what, events, ids, says) => {
    const verdicts = judge(events)
    expect(failed(verdicts)).toEqual(ids)
    const details = ids.map((id) => detailOf(verdicts, id)).join('; ')
    expect(details).toContain(says === 'WBCL' ? '5742434c' : says)
    expect(verdicts.facts).not.toBeNull()
  })

  it('a bank that the log lacks is named, and the others are judged (ELOG-11)', () => {
    const { log, quoted } = measuredBoot(healthy, ['sha256'])
    const verdicts = judgeEventLogBytes(log, new Map([...quoted, ['sha384', new Map([[7, zeros(48)]])]]), options)
    expect(failed(verdicts)).toEqual(['banks'])
    expect(detailOf(verdicts, 'banks')).toBe('the log has no bank sha384')
  })

  it('a log that has none of the quoted banks says nothing', () => {
    const { log } = measuredBoot(healthy, ['sha1'])
    const verdicts = judgeEventLogBytes(log, new Map([['sha256', new Map([[7, zeros(32)]])]]), options)
    expect([failed(verdicts), verdicts.verdicts.length, verdicts.facts]).toEqual([['banks'], 2, null])
  })

  it.each(['sha1', 'sha256'] as const)('one register of %s that is another one is a mismatch (ELOG-09)', (bank) => {
    const { log, quoted } = measuredBoot(healthy)
    quoted.get(bank)?.set(9, digestOf(bank, zeros(1)))
    const verdicts = judgeEventLogBytes(log, quoted, options)
    expect(failed(verdicts)).toEqual(['replay'])
    expect(detailOf(verdicts, 'replay')).toMatch(new RegExp(`^${bank} PCR 9: log leads to [0-9a-f]+, quote has `))
  })

  it('a register of IMA is not open, others are (ELOG-10)', () => {
    const { log, quoted } = measuredBoot(healthy)
    for (const [bank, values] of quoted) for (const pcr of [10, 11]) values.set(pcr, digestOf(bank, zeros(1)))
    const { facts, ...verdicts } = judgeEventLogBytes(log, quoted, options)
    expect(failed({ facts, ...verdicts })).toEqual([])
    expect(facts?.unaccounted).toEqual([11])
    expect(judgeEventLogBytes(log, quoted, { imaPcr: 11 }).facts?.unaccounted).toEqual([10])
  })

  it('and the list of problems stays short', () => {
    const many = Array.from({ length: 3000 }, () => event(5, eventTypes.efiAction, 'x', bytes('y')))
    const detail = detailOf(judge([...healthy, ...many]), 'payloads') ?? ''
    expect(detail).toMatch(/; and 2996 more$/)
    expect(detail.length).toBeLessThan(500)
  })
})

const claimsOf = (verdicts: EventLogVerdicts) =>
  eventLogClaims(true, failed(verdicts).length === 0 ? verdicts.facts : null)
const claimed = (events: readonly MeasuredEvent[], banks?: readonly HashName[]) => claimsOf(judge(events, banks))
const content = (claims: Record<string, unknown>) => claims['eventlog'] as Record<string, unknown>
const named = (name: string, bank: HashName = 'sha256') => `${bank}:${toHex(digestOf(bank, bytes(name)))}`

describe('the claims of a verified log', () => {
  it('are these', () => {
    const claims = claimed(healthy)
    const { eventlog, ...others } = claims
    expect(others).toEqual({
      eventlog_present: true,
      eventlog_verified: true,
      events_unbound: 3,
      unaccounted_pcrs: [],
      secure_boot: true,
      setup_mode: false,
      kernel_cmdline: '/vmlinuz ro',
    })
    expect(eventlog).toMatchObject({
      boot_images: [named('shim')],
      boot_files: [named('the kernel')],
      mok_lists: [named('the list')],
      loader_texts: ['linux /vmlinuz ro', '/vmlinuz ro'],
      loader_texts_unbound: 0,
    })
    expect(content(claims)['authorities']).toHaveLength(1)
  })

  it('are none but that it is there where it is not believed, and none but that it is not', () => {
    expect(claimed([...healthy, separatorEvent(3)])).toEqual({ eventlog_present: true, eventlog_verified: false })
    expect(eventLogClaims(false, null)).toEqual({ eventlog_present: false })
  })

  it('name digests of the strongest bank in which a register is quoted', () => {
    const { log, quoted } = measuredBoot(healthy, ['sha1', 'sha256', 'sha384'])
    for (const pcr of [4, 7, 8]) quoted.get('sha384')?.delete(pcr)
    const verdicts = judgeEventLogBytes(log, quoted, options)
    expect(content(claimsOf(verdicts))).toMatchObject({
      boot_images: [named('shim')],
      boot_files: [named('the kernel', 'sha384')],
    })
  })

  it('say nothing of a register that is not quoted, or in SHA-1 alone (TPM-24)', () => {
    for (const bank of ['sha256', null] as const) {
      const { log, quoted } = measuredBoot(healthy)
      for (const [one, values] of quoted) {
        if (bank === null || one === bank) for (const pcr of [4, 7, 8]) values.delete(pcr)
      }
      const claims = claimsOf(judgeEventLogBytes(log, quoted, options))
      expect(claims['eventlog_verified']).toBe(true)
      for (const name of ['secure_boot', 'setup_mode', 'kernel_cmdline']) expect(claims).not.toHaveProperty(name)
      for (const name of ['boot_images', 'loader_texts', 'authorities', 'db_sha256']) {
        expect(content(claims)).not.toHaveProperty(name)
      }
      expect(content(claims)).toHaveProperty('boot_files')
    }
  })

  it('hold no forged content of a stronger bank that is quoted for other registers', () => {
    const { log, quoted } = measuredBoot(healthy, ['sha256', 'sha384'])
    const forged = Buffer.from(log)
    const digest = Buffer.from(digestOf('sha384', bytes('shim')))
    Buffer.from(digestOf('sha384', bytes('good shim'))).copy(forged, forged.indexOf(digest))
    const values = new Map([...(quoted.get('sha384') ?? [])].filter(([pcr]) => pcr === 0))
    const verdicts = judgeEventLogBytes(new Uint8Array(forged), new Map([...quoted, ['sha384', values]]), options)
    expect(content(claimsOf(verdicts))['boot_images']).toEqual([named('shim')])
  })

  it.each([
    ['enabled', Uint8Array.of(1), true],
    ['disabled', Uint8Array.of(0), false],
    ['disabled by no value', zeros(0), false],
  ])('say that secure boot is %s (SB-03)', (_what, SecureBoot, expected) => {
    expect(claimed(healthyBoot({ SecureBoot }))['secure_boot']).toBe(expected)
  })

  it('say that the machine is in setup mode (SB-04)', () => {
    expect(claimed(healthyBoot({ PK: zeros(0) }))['setup_mode']).toBe(true)
  })

  it.each([0, 1, 2, 3, 4])('say nothing of secure boot without variable %i of the five (SB-03)', (index) => {
    const missing = secureBootEvents()[index]
    const name = toHex(missing?.data ?? zeros(0))
    const claims = claimed(healthy.filter(({ data }) => toHex(data) !== name))
    expect(claims).toMatchObject({ eventlog_verified: true })
    for (const one of ['secure_boot', 'setup_mode']) expect(claims).not.toHaveProperty(one)
    expect(content(claims)).not.toHaveProperty('authorities')
  })

  it('say nothing of secure boot without a separator of PCR 7, nor where a variable has another type', () => {
    expect(claimed(healthy.filter((_, index) => index !== separatorOf(7)))).not.toHaveProperty('secure_boot')
    expect(claimed(replaced(secureBootAt, { type: 0x0000000a }))).not.toHaveProperty('secure_boot')
  })

  it('list whatever stands behind the separator of PCR 7 (SB-05)', () => {
    const shim = variableData(shimGuid, 'Shim', bytes('certificate'))
    const added = [
      event(7, eventTypes.variableAuthority, concatBytes(shim, bytes('123456')), concatBytes(shim, bytes('12345'))),
      event(7, eventTypes.variableAuthority, variableData(shimGuid, 'db', bytes('x'))),
      event(7, eventTypes.efiAction, 'x'),
      event(7, eventTypes.variableAuthority, variableData(globalGuid, 'Shim', bytes('x'))),
      event(7, eventTypes.noAction, 'never extended'),
    ]
    const digest = toHex(digestOf('sha256', bytes('certificate')))
    const authorities = content(claimed([...healthy, ...added]))['authorities'] as string[]
    expect(authorities.slice(1)).toEqual([`Shim:${digest}`, 'unknown', 'unknown', 'unknown'])
  })
})

describe('the command line (ELOG-17, ELOG-20)', () => {
  const without = healthy.filter(({ data }) => !new TextDecoder().decode(data).startsWith('kernel_cmdline'))
  const lineOf = (events: readonly MeasuredEvent[], kernelCmdline?: string) => {
    const { log, quoted } = measuredBoot(events)
    const hint = kernelCmdline === undefined ? {} : { kernelCmdline }
    return claimsOf(judgeEventLogBytes(log, quoted, { ...options, ...hint }))['kernel_cmdline']
  }
  const tag = (text: string, pcr = 9, id = 0x8f3b22ed) =>
    event(pcr, eventTypes.eventTag, taggedData(id, bytes('LOADED_IMAGE::LoadOptions\0')), wide(`${text}\0`))

  it.each<[string, readonly MeasuredEvent[], string | undefined, string | undefined]>([
    ['of one event with a label', healthy, undefined, '/vmlinuz ro'],
    ['of one with the older label', [...without, ipl(8, 'grub_kernel_cmdline /k', '/k\0')], undefined, '/k'],
    [
      'of one event with a label, and one of another type',
      [...healthy, event(8, eventTypes.efiAction, 'kernel_cmdline: x')],
      undefined,
      '/vmlinuz ro',
    ],
    ['of two events is none', [...healthy, ipl(8, 'kernel_cmdline: x', 'x')], undefined, undefined],
    ['of two, one unbound, is none', [...healthy, ipl(8, 'kernel_cmdline: x', 'y')], undefined, undefined],
    ['of an unbound event is none', [...without, ipl(8, 'kernel_cmdline: x', 'y')], undefined, undefined],
    [
      'with its label in the digest is none',
      [...without, ipl(8, 'kernel_cmdline: x', 'kernel_cmdline: x')],
      undefined,
      undefined,
    ],
    [
      'of 4096 characters',
      [...without, ipl(8, `kernel_cmdline: ${'x'.repeat(4096)}`, 'x'.repeat(4096))],
      undefined,
      'x'.repeat(4096),
    ],
    [
      'of 4097 characters is none',
      [...without, ipl(8, `kernel_cmdline: ${'x'.repeat(4097)}`, 'x'.repeat(4097))],
      undefined,
      undefined,
    ],
    ['of a hint that the kernel measured', [...without, tag('quiet ro')], 'quiet ro', 'quiet ro'],
    ['of no hint is none', [...without, tag('quiet ro')], undefined, undefined],
    ['of another hint is none', [...without, tag('quiet ro')], 'quiet rw', undefined],
    ['of a hint in another register is none', [...without, tag('quiet ro', 8)], 'quiet ro', undefined],
    ['of a hint under another tag is none', [...without, tag('quiet ro', 9, 0x8f3b22ec)], 'quiet ro', undefined],
    ['of two measured options is none', [...without, tag('quiet ro'), tag('quiet ro')], 'quiet ro', undefined],
    ['of a hint that nothing binds is none', without, 'quiet ro', undefined],
    ['of the label comes before that of a hint', [...healthy, tag('quiet ro')], 'quiet ro', '/vmlinuz ro'],
  ])('%s', (_what, events, hint, expected) => {
    expect(lineOf(events, hint)).toBe(expected)
  })
})

describe('what was loaded', () => {
  it('is every event of its register, under whatever type, but for separators and short texts of firmware', () => {
    const more = [
      image(4, 'second'),
      event(4, 0x1234, zeros(3), bytes('hidden')),
      event(4, eventTypes.efiAction, 'Booting'),
      event(4, eventTypes.efiAction, Uint8Array.of(0x4d, 0x5a, 0)),
      event(4, eventTypes.efiAction, 'M'.repeat(257)),
    ]
    const images = content(claimed([...healthy, ...more]))['boot_images'] as string[]
    expect(images.slice(0, 3)).toEqual([named('shim'), named('second'), named('hidden')])
    expect(images).toHaveLength(5)
  })

  it('has a file of four bytes that are not those of a separator', () => {
    const files = [event(9, eventTypes.ipl, '1234'), event(9, eventTypes.separator, zeros(4)), event(9, 1, zeros(3))]
    const three = `sha256:${toHex(digestOf('sha256', zeros(3)))}`
    expect(content(claimed([...healthy, ...files]))['boot_files']).toEqual([named('the kernel'), named('1234'), three])
  })

  it('has the sections of a kernel image, each with its measured name', () => {
    const section = (name: string, measured: string): MeasuredEvent[] => [
      event(11, eventTypes.ipl, wide(`${name}\0`), bytes(`${name}\0`)),
      event(11, eventTypes.ipl, wide(`${name}\0`), bytes(measured)),
    ]
    const sections = [...section('.linux', 'kernel'), ...section('.profile', 'one'), ...section('.profile', 'two')]
    expect(content(claimed([...healthy, ...sections]))['kernel_sections']).toEqual({
      linux: [named('kernel')],
      profile: [named('one'), named('two')],
    })
    const unnamed = [event(11, eventTypes.ipl, wide('.linux\0'), bytes('.initrd\0')), ...section('.linux', 'kernel')]
    expect(content(claimed([...healthy, ...unnamed]))).toMatchObject({
      kernel_sections: { linux: [named('kernel')] },
      kernel_sections_unnamed: 1,
    })
  })

  it('has the texts of boot loaders in UTF-16, and counts what is no text', () => {
    const texts = [
      event(12, eventTypes.ipl, concatBytes(wide('quiet'), zeros(1)), wide('quiet\0')),
      event(12, eventTypes.ipl, wide('ro\0')),
      event(12, eventTypes.ipl, 'unknown', bytes('x')),
      event(8, eventTypes.ipl, Uint8Array.of(0xff)),
    ]
    const { loader_texts, loader_texts_unbound } = content(claimed([...healthy, ...texts]))
    expect([loader_texts, loader_texts_unbound]).toEqual([['linux /vmlinuz ro', '/vmlinuz ro', 'quiet', 'ro'], 2])
  })
})

describe('databases of keys', () => {
  const sha384List = 'ff3e5307-9fd0-48c9-85f1-8ad56c701e01'
  const contentOf = (db: Uint8Array) => content(claimed(healthyBoot({ db })))

  it('have digests of every kind', () => {
    const lists = concatBytes(signatureList(sha256List, [zeros(32)]), signatureList(sha384List, [zeros(48)]))
    expect(contentOf(lists)['db_digests']).toEqual([`sha256:${'00'.repeat(32)}`, `sha384:${'00'.repeat(48)}`])
  })

  it('have the subjects of at most 64 certificates, and say where they have more', () => {
    const junk = (count: number) =>
      signatureList(
        x509List,
        Array.from({ length: count }, () => zeros(2)),
      )
    expect(contentOf(junk(64))).not.toHaveProperty('too_long')
    expect(contentOf(junk(65))).toMatchObject({ db_certificates: { length: 65 }, too_long: ['db_subjects'] })
  })
})

describe('hostile logs', () => {
  it('have claims of at most 16 KiB, which name what was left out', () => {
    const many = Array.from({ length: 300 }, (_, at) =>
      ipl(8, `grub_cmd: ${'a'.repeat(60)}${at}`, `${'a'.repeat(60)}${at}`),
    )
    const claims = claimed([...healthy, ...many])
    expect(content(claims)['too_long']).toEqual(['loader_texts'])
    expect(content(claims)).toMatchObject({ boot_images: [named('shim')], loader_texts_unbound: 0 })
    const images = Array.from({ length: 300 }, (_, at) => image(4, String(at)))
    expect(JSON.stringify(content(claimed([...healthy, ...many, ...images]))).length).toBeLessThan(17_000)
  })

  it('are answered whatever byte is changed, and what is believed says nothing new of what is bound', () => {
    const { log, quoted } = measuredBoot(healthy)
    const whole = claimsOf(judgeEventLogBytes(log, quoted, options))
    fc.assert(
      fc.property(fc.nat(log.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(log.length), (place, mask, end) => {
        const edited = log.slice(0, end < place ? log.length : end)
        edited[place] = (edited[place] ?? 0) ^ mask
        const verdicts = judgeEventLogBytes(edited, quoted, options)
        if (failed(verdicts).length > 0) return
        const claims = claimsOf(verdicts)
        for (const name of ['secure_boot', 'setup_mode', 'kernel_cmdline']) {
          if (claims[name] !== undefined) expect([place, claims[name]]).toEqual([place, whole[name]])
        }
        const { boot_images, boot_files, authorities } = content(claims)
        expect(boot_images).toEqual(content(whole)['boot_images'])
        // A register of which the log hides every event is named instead (ELOG-10).
        const hidesFiles = verdicts.facts?.unaccounted.includes(9)
        expect(boot_files).toEqual(hidesFiles ? undefined : content(whole)['boot_files'])
        if (authorities !== undefined) expect(authorities).toHaveLength(1)
      }),
      { numRuns: 3000 },
    )
  })
})
