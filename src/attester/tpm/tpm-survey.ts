import type { Clock } from '../../base/clock.ts'
import { capabilities, tpmProperties } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { encodeSizedPublic } from '../../evidence/tpm/public-area.ts'
import type { TpmDialogue } from './dialogue.ts'
import { readEkCertificate } from './ek-certificate.ts'
import { type EkChoice, loadEndorsementKey } from './endorsement-key.ts'
import { TpmFlowRunner } from './flow-runner.ts'
import { type PcrValues, readActiveBanks, readPcrs, selectPcrs, type WantedPcrs } from './pcrs.ts'
import type { TpmConnection } from './tpm-connection.ts'
import type { EndorsementIdentity } from './tpm-keys.ts'

export interface TpmSurveyOptions {
  readonly connect: () => Promise<TpmConnection>
  readonly clock: Clock
  /** Default: RSA-2048 of the low range. */
  readonly ek?: EkChoice
}

export interface TpmDescription {
  /** Four characters that the TCG registers for makers: `IBM`, `ALIB`. */
  readonly manufacturer: string
  /** Banks that hold PCRs. */
  readonly banks: readonly string[]
}

/** Questions to a TPM for a diagnosis: no attestation key is made or used, and nothing stays in the TPM. */
export interface TpmSurvey extends AsyncDisposable {
  describe(signal?: AbortSignal): Promise<TpmDescription>
  /** The present values of what an attester with these wishes would quote. Throws `TPM_BANK_INACTIVE`. */
  registers(wanted: WantedPcrs, signal?: AbortSignal): Promise<PcrValues>
  /** The endorsement key, made again from its template, which gives the same key each time, and its certificate. */
  endorsement(signal?: AbortSignal): Promise<EndorsementIdentity>
}

const never = new AbortController().signal

async function readManufacturer(tpm: TpmDialogue): Promise<string> {
  const { manufacturer } = tpmProperties
  const request = { capability: capabilities.properties, property: manufacturer, count: 1 }
  const { data } = await tpm.execute(tpm2.getCapability, request)
  const value =
    data.capability === 'properties' ? data.properties.find(({ property }) => property === manufacturer) : null
  const letters = [24, 16, 8, 0].map((shift) => String.fromCharCode(((value?.value ?? 0) >>> shift) & 0xff))
  return letters.join('').replace(/[^\x21-\x7e]/g, '')
}

/** Opens the survey of one TPM; nothing is sent before the first question. */
export function openTpmSurvey({ connect, clock, ek = { template: 'rsa-2048' } }: TpmSurveyOptions): TpmSurvey {
  const runner = new TpmFlowRunner(connect, clock)
  const ask = async <T>(question: (tpm: TpmDialogue) => Promise<T>, signal = never): Promise<T> =>
    (await runner.run(question, signal)).value
  return {
    describe: (signal) =>
      ask(async (tpm) => {
        const banks = [...(await readActiveBanks(tpm)).keys()]
        return { manufacturer: await readManufacturer(tpm), banks }
      }, signal),
    registers: (wanted, signal) => ask(async (tpm) => readPcrs(tpm, await selectPcrs(tpm, wanted)), signal),
    endorsement: (signal) =>
      ask(async (tpm) => {
        const key = await loadEndorsementKey(tpm, ek)
        const certificate = await readEkCertificate(tpm, ek, key.area)
        return { publicArea: encodeSizedPublic(key.area), name: key.name, ...certificate }
      }, signal),
    [Symbol.asyncDispose]: () => runner.close(),
  }
}
