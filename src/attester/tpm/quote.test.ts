import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { encode } from '../../base/layout.ts'
import { digestOf, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { attestLayout, type TpmAttest } from '../../evidence/tpm/attest.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { parseTpmSignature, type TpmtSignature } from '../../evidence/tpm/signature.ts'
import { akTemplates } from './attestation-key.ts'
import { TpmDialogue } from './dialogue.ts'
import { quotePcrs } from './quote.ts'

const sha256 = hashAlgorithms.sha256.id
const selection = [{ hash: sha256, pcrs: [0, 10] }]
const qualifyingData = new Uint8Array(32).fill(7)
const key = { handle: 0x80000000, area: akTemplates['ecdsa-p256'], qualifiedName: new Uint8Array(34).fill(1) }
const signature: TpmtSignature = { algorithm: 'ecdsa', hash: 'sha256', r: Uint8Array.of(1), s: Uint8Array.of(2) }

interface Machine {
  readonly attest?: Partial<TpmAttest>
  readonly signature?: TpmtSignature
  /** How often PCR 10 is extended between reading and quoting. */
  readonly extensions?: number
  readonly bytes?: (attest: Uint8Array) => Uint8Array
}

/** A TPM with two PCRs, the second of which may change; what its quote says may be replaced. */
function machine({ attest = {}, extensions = 0, bytes = (same) => same, ...given }: Machine = {}) {
  let extended = 0
  const values = () => [new Uint8Array(32), new Uint8Array(32).fill(extended)]
  return new ScriptedTpm()
    .on(tpm2.pcrRead, () => ({ updateCounter: extended, selection, values: values() }))
    .on(tpm2.quote, (request) => {
      if (extended < extensions) extended++
      const quoted: TpmAttest = {
        qualifiedSigner: key.qualifiedName,
        extraData: request.qualifyingData,
        clock: 1n,
        resetCount: 1,
        restartCount: 0,
        safe: 1,
        firmwareVersion: 1n,
        pcrSelect: request.selection,
        pcrDigest: digestOf('sha256', ...values()),
        ...attest,
      }
      return { attest: bytes(encode(attestLayout, quoted)), signature: given.signature ?? signature }
    })
}

const quote = (tpm: ScriptedTpm) =>
  quotePcrs(new TpmDialogue(tpm, new FakeClock(), new AbortController().signal), key, { qualifyingData, selection })

describe('a quote', () => {
  it('comes with the values that it is about', async () => {
    const tpm = machine()
    const { pcrs, signature: signed } = await quote(tpm)
    expect(pcrs.get('sha256')?.get(10)).toEqual(new Uint8Array(32))
    expect(parseTpmSignature(signed)).toEqual(signature)
    expect(tpm.received).toEqual(['PCR_Read', 'Quote'])
  })

  it('is repeated while PCRs change between reading and quoting (TPM-06)', async () => {
    const tpm = machine({ extensions: 4 })
    const { pcrs } = await quote(tpm)
    expect(pcrs.get('sha256')?.get(10)).toEqual(new Uint8Array(32).fill(4))
    expect(tpm.received).toHaveLength(10)
  })

  it('is given up after five attempts', async () => {
    const tpm = machine({ extensions: 5 })
    await expect(quote(tpm)).rejects.toMatchObject({
      code: 'TPM_PCR_CHANGING',
      facts: { attempts: 5, selection: 'sha256:0,10' },
    })
    expect(tpm.received).toHaveLength(10)
  })

  it.each<[string, Machine]>([
    ['other qualifying data', { attest: { extraData: new Uint8Array(32) } }],
    ['cut qualifying data', { attest: { extraData: qualifyingData.subarray(1) } }],
    ['a PCR less', { attest: { pcrSelect: [{ hash: sha256, pcrs: [0] }] } }],
    ['a PCR more', { attest: { pcrSelect: [{ hash: sha256, pcrs: [0, 10, 16] }] } }],
    ['another PCR', { attest: { pcrSelect: [{ hash: sha256, pcrs: [0, 16] }] } }],
    ['another bank', { attest: { pcrSelect: [{ hash: 4, pcrs: [0, 10] }] } }],
    ['no bank', { attest: { pcrSelect: [] } }],
    ['a bank more', { attest: { pcrSelect: [...selection, { hash: 4, pcrs: [0] }] } }],
    ['another signer', { attest: { qualifiedSigner: new Uint8Array(34) } }],
    ['another scheme', { signature: { algorithm: 'sm2', hash: 'sha256', r: new Uint8Array(), s: new Uint8Array() } }],
    ['another hash', { signature: { ...signature, hash: 'sha1' } as TpmtSignature }],
  ])('with %s is inconsistent (NAT-54)', async (_, given) => {
    const tpm = machine(given)
    await expect(quote(tpm)).rejects.toMatchObject({ code: 'TPM_INCONSISTENT', exitCode: 65 })
    expect(tpm.received).toHaveLength(2)
  })

  it.each<[string, (attest: Uint8Array) => Uint8Array]>([
    ['cut', (attest) => attest.subarray(0, -1)],
    ['lengthened', (attest) => Uint8Array.from([...attest, 0])],
    ['of another kind', (attest) => Uint8Array.from(attest).fill(0x17, 5, 6)],
    ['not made by a TPM', (attest) => Uint8Array.from(attest).fill(0, 0, 1)],
    ['empty', () => new Uint8Array()],
  ])('that is %s is malformed', async (_, bytes) => {
    await expect(quote(machine({ bytes }))).rejects.toMatchObject({
      code: 'TPM_RESPONSE_MALFORMED',
      facts: { command: 'TPM2_Quote', transport: 'device' },
    })
  })
})
