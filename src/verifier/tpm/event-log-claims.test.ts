import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { replayEventLog } from '../event-log/replay-event-log.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { judgeEventLogBytes } from './event-log-verdicts.ts'

/** The claims of a machine whose quote has every register of `bank`, as the log leads to it. */
function claimsOf(file: string, bank: HashName = 'sha256'): Record<string, unknown> {
  const bytes = vector(`tpm/${file}`)
  const { registers } = replayEventLog(parseEventLog(bytes))
  const { verdicts, facts } = judgeEventLogBytes(bytes, new Map([[bank, registers.get(bank) ?? new Map()]]), {
    imaPcr: 10,
  })
  expect(verdicts.filter(([, { ok }]) => !ok)).toEqual([])
  return eventLogClaims(true, facts)
}

describe.skipIf(!haveVectors)('the claims of real machines', () => {
  it('say what a server with secure boot started, and with whose keys', () => {
    const { eventlog, ...claims } = claimsOf('eventlogs/rhel8-gce.bin')
    expect(claims).toEqual({
      eventlog_present: true,
      eventlog_verified: true,
      events_unbound: 7,
      unaccounted_pcrs: [],
      secure_boot: true,
      setup_mode: false,
      kernel_cmdline: expect.stringMatching(
        /^\(hd0,gpt2\)\/boot\/vmlinuz-4\.18\.0-240\.22\.1\.el8_3\.x86_64 root=UUID=.* crashkernel=auto /,
      ),
    })
    expect(eventlog).toMatchObject({
      dbx_sha256: '14bbeada46dcb45efb204f3dce6b80b346b87294c04690a1dd121c4136afaca9',
      db_certificates: [
        '48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507',
        'e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961',
      ],
      db_subjects: [
        'C=US, ST=Washington, L=Redmond, O=Microsoft Corporation, CN=Microsoft Corporation UEFI CA 2011',
        'C=US, ST=Washington, L=Redmond, O=Microsoft Corporation, CN=Microsoft Windows Production PCA 2011',
      ],
      authorities: [
        'db:48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507',
        'Shim:40175d4c7c5ab4bd753a493f47952f1d8dcf1c219b836968a693e48bd4766135',
      ],
      boot_images: [
        'sha256:40d6cae02973789080cf4c3a9ad11b5a0a4d8bba4438ab96e276cc784454dee7',
        'sha256:e8a268c431da72caaae407f729f602b9dbf5d1d43492d4a51cc2b688a08586e3',
        'sha256:e4c0382f98feaebfd43923a85fd6da9a20e1a48524a4d5928c31850ca1a96a6e',
      ],
      mok_lists: { length: 2 },
      boot_files: { length: 2 },
      loader_texts: { length: 50 },
      loader_texts_unbound: 0,
      too_long: ['dbx_digests'],
    })
  })

  it('of a machine that started in locality 3 say so', () => {
    expect(claimsOf('eventlogs/glinux-locality3.bin')).toMatchObject({ startup_locality: 3, secure_boot: false })
    expect(claimsOf('eventlogs/rhel8-gce.bin')).not.toHaveProperty('startup_locality')
  })

  it('of systemd-boot have its text, and no command line: nothing says that it is one', () => {
    const claims = claimsOf('eventlogs/arch-workstation.bin')
    expect(claims).not.toHaveProperty('kernel_cmdline')
    expect(claims['eventlog']).toMatchObject({ loader_texts: [expect.stringMatching(/^initrd=\\intel-ucode\.img /)] })
  })

  it('of a guest in setup mode say so', () => {
    expect(claimsOf('guest/eventlog.bin', 'sha384')).toMatchObject({ secure_boot: false, setup_mode: true })
  })

  it('of a log of SHA-1 alone name nothing (TPM-24)', () => {
    expect(claimsOf('eventlogs/debian10-gce-legacy.bin', 'sha1')).toEqual({
      eventlog_present: true,
      eventlog_verified: true,
      events_unbound: 0,
      unaccounted_pcrs: [],
      eventlog: {},
    })
  })
})
