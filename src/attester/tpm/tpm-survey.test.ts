import { createHash, X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { execute } from '../../../mocks/swtpm/execute.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { haveSwtpm, useSwtpm } from '../../../test/support/swtpm.ts'
import { SwtpmConnection } from '../../../test/support/swtpm-connection.ts'
import { loadedHandles } from '../../../test/support/tpm-attesting.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { parseSizedPublic, publicKeyOf } from '../../evidence/tpm/public-area.ts'
import { openTpmSurvey } from './tpm-survey.ts'

describe.skipIf(!haveSwtpm)('a survey of a TPM', () => {
  const { tpm } = useSwtpm('surveyed')
  let connection = new SwtpmConnection(tpm)
  const survey = () => openTpmSurvey({ connect: async () => connection, clock: new FakeClock() })
  afterEach(async () => {
    expect(await loadedHandles(connection.send)).toEqual([])
    await connection[Symbol.asyncDispose]()
    connection = new SwtpmConnection(tpm)
  })

  it('tells the maker and the active banks', async () => {
    expect(await survey().describe()).toEqual({ manufacturer: 'IBM', banks: ['sha1', 'sha256', 'sha384'] })
  })

  it('tells the registers that a quote would cover, as they are', async () => {
    const digest = createHash('sha256').update('measured').digest()
    await execute(connection.send, tpm2.pcrExtend, { pcr: 16, digests: [{ hash: 'sha256', digest }] })
    const wanted = { banks: ['sha256'] as const, banksIfActive: ['sha384', 'sha512'] as const, pcrs: [16, 0] }
    const registers = await survey().registers(wanted)
    expect([...registers].map(([bank, values]) => [bank, [...values.keys()]])).toEqual([
      ['sha256', [0, 16]],
      ['sha384', [0, 16]],
    ])
    const extended = createHash('sha256').update(new Uint8Array(32)).update(digest).digest()
    expect(Buffer.from(registers.get('sha256')?.get(16) ?? [])).toEqual(extended)
  })

  it('does not tell registers of a bank that is wanted and not active', async () => {
    const wanted = { banks: ['sha512'] as const, banksIfActive: [], pcrs: [0] }
    await expect(survey().registers(wanted)).rejects.toMatchObject({ code: 'TPM_BANK_INACTIVE' })
  })

  it('tells the endorsement key of the certificate, and creates no other key', async () => {
    connection.codes.length = 0
    const { publicArea, certificate } = await survey().endorsement()
    const key = new X509Certificate(certificate ?? new Uint8Array()).publicKey
    expect(publicKeyOf(parseSizedPublic(publicArea)).equals(key)).toBe(true)
    expect(connection.codes).not.toContain(tpm2.create.code)
    expect(connection.codes).not.toContain(tpm2.load.code)
  })
})
