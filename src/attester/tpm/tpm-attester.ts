import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import { abandonable } from '../../base/tasks.ts'
import { composeTpmEventLog } from '../../evidence/event-log/runtime-records.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { encodeSizedPublic, nameOf } from '../../evidence/tpm/public-area.ts'
import { attesterErrors } from '../errors.ts'
import type { RuntimeLogFiles } from '../tdx/event-log-sources.ts'
import { type AkScheme, activateCredential, encodeKeptKey, type KeptKey, parseKeptKey } from './attestation-key.ts'
import type { EkChoice } from './endorsement-key.ts'
import { TpmFlowRunner } from './flow-runner.ts'
import { type PcrExtension, type PcrMeasurement, PcrMeasurements } from './pcr-measurements.ts'
import { type BankSelection, namedBanks, numberedBanks, selectPcrs } from './pcrs.ts'
import { quotePcrs } from './quote.ts'
import type { TpmConnection } from './tpm-connection.ts'
import { type EndorsementIdentity, TpmKeys } from './tpm-keys.ts'

/** Where the attestation key is kept across restarts: a file of mode 0600 in the state directory (TPM-05). */
export interface KeyStore {
  /** Null: no key was kept yet. */
  load(): Promise<Uint8Array | null>
  save(key: Uint8Array): Promise<void>
}

export interface TpmAttesterOptions {
  /** Opens the way to the TPM; called when it is first needed, and again after the TPM spoke no sense. */
  readonly connect: () => Promise<TpmConnection>
  readonly keyStore: KeyStore
  readonly clock: Clock
  readonly random: RandomSource
  /** Default: RSA-2048 of the low range. */
  readonly ek?: EkChoice
  /** Kind of the attestation key. Default: `ecdsa-p256`. */
  readonly scheme?: AkScheme
  /** Banks that every quote covers. Default: SHA-256. SHA-384 is added where it is active. */
  readonly banks?: readonly HashName[]
  /** PCRs that every quote covers, 0 to 23. */
  readonly pcrs: readonly number[]
  /** `binary_bios_measurements` to its end; null where the machine has none (TPM-08). */
  readonly readEventLog?: () => Promise<Uint8Array | null>
  /** The log of what PCRs were extended with through us; without it no PCR is. */
  readonly runtimeLog?: RuntimeLogFiles
  /** What the kernel was started with, as a hint beside the event log; null where nobody knows (ELOG-20). */
  readonly readKernelCmdline?: () => Promise<string | null>
  /**
   * The binary IMA log from the record `from` on (counted since boot), or from its beginning; about `most` bytes of
   * it, where that is given. Bytes alone mean the whole log with its SHA-1 column. Null where the kernel keeps none
   * (TPM-09).
   */
  readonly readImaLog?: (from: number, most?: number) => Promise<ImaLogRead | Uint8Array | null>
  /** Hears how many milliseconds a quote took, its own turn only, whether it came or failed. */
  readonly quoted?: (ms: number) => void
}

/** Records as the log gives them. */
export interface ImaLogRead extends ImaLogPart {
  /** The log goes on behind them. Default false. */
  readonly continues?: boolean
}

/** Evidence, and whether its IMA log was cut at the length that was asked for: then this quote is not of its end. */
export interface TpmCollection extends TpmEvidence {
  readonly imaContinues: boolean
}

export interface TpmIdentity {
  readonly ek: EndorsementIdentity
  readonly ak: {
    /** TPM2B_PUBLIC. */
    readonly publicArea: Uint8Array
    /** nameAlg (u16) and digest. */
    readonly name: Uint8Array
    /** The key was created by this call: no verifier knows it yet. */
    readonly isNew: boolean
  }
  readonly simulated: boolean
}

export interface CollectOptions {
  /** Replace those of the attester for this quote. */
  readonly banks?: readonly HashName[]
  readonly pcrs?: readonly number[]
  /** Exactly what to quote, as `selection` gave it; then `banks` and `pcrs` are not looked at. */
  readonly selection?: readonly BankSelection[]
  /** Default true. */
  readonly eventLog?: boolean
  /** First IMA record wanted; null leaves the log out. Default 0: all. */
  readonly imaFrom?: number | null
  /** About how many bytes of the IMA log are wanted at most. Default: all. */
  readonly imaMost?: number
}

/** Collects TPM evidence and takes part in enrolment; one flow at a time, first come first served. */
export interface TpmAttester extends AsyncDisposable {
  /**
   * The keys of this machine, for enrolment. Creates and keeps an attestation key where none is kept, or where
   * `renewKey` asks for another; a kept key that cannot be loaded is `AK_LOST` and never replaced silently.
   */
  identity(options?: { readonly renewKey?: boolean }, signal?: AbortSignal): Promise<TpmIdentity>
  /**
   * Opens a verifier's challenge: content of TPM2B_ID_OBJECT and of TPM2B_ENCRYPTED_SECRET. Gives the secret,
   * at most 64 bytes. Throws `TPM_CREDENTIAL_REFUSED` for a challenge to other keys, `AK_LOST` without a key.
   */
  activate(idObject: Uint8Array, encryptedSecret: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /**
   * What a quote of this TPM covers, banks in the order of their algorithm numbers: the PCRs of the attester in each of
   * its banks, and in SHA-384 where that is active. A verifier that says what it expects (TPM-21) asks here first. Throws
   * `TPM_BANK_INACTIVE`.
   */
  selection(signal?: AbortSignal): Promise<readonly BankSelection[]>
  /**
   * Quotes PCRs over `qualifyingData` (8 to 64 bytes; BRK-91 makes 32) and adds the logs: IMA is read after the
   * quote, so it may be ahead of PCR 10, never behind (TPM-09). Throws `AK_LOST` without a key.
   */
  collect(qualifyingData: Uint8Array, options?: CollectOptions, signal?: AbortSignal): Promise<TpmCollection>
  /**
   * Records of the IMA log without a quote, as `collect` would add them: what is sent before the last part (IMA-24).
   * Null where the kernel keeps no log.
   */
  readIma(from: number, most: number, signal?: AbortSignal): Promise<Required<ImaLogRead> | null>
  /**
   * Extends a PCR in every active bank and appends the record to the runtime log, both or neither (TDX-036, BRK-84).
   * Throws `pcr_unsupported` where no verifier could follow it, `rtmr_not_extended` where the TPM did not,
   * `rtmr_log_pending` where that is not known yet, `rtmr_log_diverged` after an interruption that left PCR and log apart.
   */
  extend(measurement: PcrMeasurement, signal?: AbortSignal): Promise<PcrExtension>
  /** Whether the TPM answers, found out in the way that evidence takes; rejects with what `collect` would. */
  probe(signal?: AbortSignal): Promise<void>
}

/** Makes the attester of one TPM; nothing is opened or read before its first use. */
export function createTpmAttester(options: TpmAttesterOptions): TpmAttester {
  return new TurnwiseAttester(options)
}

type Logs = Pick<TpmCollection, 'eventLog' | 'ima' | 'imaContinues' | 'kernelCmdline'>

const never = new AbortController().signal

class TurnwiseAttester implements TpmAttester {
  #options: TpmAttesterOptions
  #scheme: AkScheme
  #runner: TpmFlowRunner
  #keys: TpmKeys
  #measurements: PcrMeasurements
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: TpmAttesterOptions) {
    const { ek = { template: 'rsa-2048' }, scheme = 'ecdsa-p256' } = options
    this.#options = options
    this.#scheme = scheme
    this.#runner = new TpmFlowRunner(options.connect, options.clock)
    this.#keys = new TpmKeys({ ek, scheme, random: options.random })
    this.#measurements = new PcrMeasurements({
      runner: this.#runner,
      runtimeLog: options.runtimeLog ?? null,
      readFirmwareLog: async () => (await options.readEventLog?.()) ?? null,
    })
  }

  identity({ renewKey = false } = {}, signal = never): Promise<TpmIdentity> {
    return this.#inTurn(signal, async () => {
      const kept = renewKey ? null : await this.#loadKept()
      const { value, simulated } = await this.#runner.run((tpm) => this.#keys.loadBoth(tpm, kept), signal)
      if (kept === null) await this.#options.keyStore.save(encodeKeptKey(value.kept))
      const { publicArea } = value.kept
      const ak = { publicArea: encodeSizedPublic(publicArea), name: nameOf(publicArea), isNew: kept === null }
      return { ek: value.identity, ak, simulated }
    })
  }

  activate(idObject: Uint8Array, encryptedSecret: Uint8Array, signal = never): Promise<Uint8Array> {
    return this.#inTurn(signal, async () => {
      const kept = await this.#requireKept()
      const { value } = await this.#runner.run(async (tpm) => {
        const { ek, ak } = await this.#keys.loadBoth(tpm, kept)
        return activateCredential(tpm, { ek, ak: ak.handle }, { idObject, encryptedSecret }, this.#options.random)
      }, signal)
      return value
    })
  }

  selection(signal = never): Promise<readonly BankSelection[]> {
    return this.#inTurn(signal, async () => {
      const { value } = await this.#runner.run((tpm) => selectPcrs(tpm, this.#wanted({})), signal)
      return namedBanks(value)
    })
  }

  collect(qualifyingData: Uint8Array, options: CollectOptions = {}, signal = never): Promise<TpmCollection> {
    return this.#inTurn(signal, async () => {
      if (qualifyingData.length < 8 || qualifyingData.length > 64) {
        throw new TypeError(`qualifying data takes 8 to 64 bytes, got ${qualifyingData.length}`)
      }
      const kept = await this.#requireKept()
      await this.#measurements.recover()
      const begun = this.#options.clock.monotonic()
      const quoting = this.#runner.run(async (tpm) => {
        const { identity, ak } = await this.#keys.loadSigning(tpm, kept)
        const selection = options.selection
          ? numberedBanks(options.selection)
          : await selectPcrs(tpm, this.#wanted(options))
        return { ek: identity, quote: await quotePcrs(tpm, ak, { qualifyingData, selection }) }
      }, signal)
      const { value, simulated } = await quoting.finally(() => this.#tellTime(begun))
      return {
        ak: { publicArea: encodeSizedPublic(kept.publicArea), certificate: null },
        ek: value.ek,
        quotes: [value.quote],
        ...(await this.#readLogs(options)),
        simulated,
      }
    })
  }

  #tellTime(begun: number): void {
    this.#options.quoted?.(this.#options.clock.monotonic() - begun)
  }

  readIma(from: number, most: number, signal = never): Promise<Required<ImaLogRead> | null> {
    return abandonable(this.#readIma(from, most), signal)
  }

  extend(measurement: PcrMeasurement, signal = never): Promise<PcrExtension> {
    // Once begun it goes on to its end, whoever waits for it: half of it would part PCR and log.
    return this.#inTurn(signal, () => this.#measurements.extend(measurement))
  }

  probe(signal = never): Promise<void> {
    return this.#inTurn(signal, async () => {
      await this.#runner.run((tpm) => tpm.execute(tpm2.getRandom, { bytes: 8 }), signal)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inTurn(never, () => this.#runner.close())
  }

  #wanted({ banks = this.#options.banks ?? ['sha256'], pcrs = this.#options.pcrs }: CollectOptions) {
    return { banks, banksIfActive: ['sha384'] as const, pcrs }
  }

  async #readLogs({ eventLog = true, imaFrom = 0, imaMost }: CollectOptions): Promise<Logs> {
    const ima = imaFrom === null ? null : await this.#readIma(imaFrom, imaMost)
    const log = eventLog ? await this.#readEventLog() : null
    const kernelCmdline = log === null ? null : ((await this.#options.readKernelCmdline?.()) ?? null)
    return {
      eventLog: log,
      ...(kernelCmdline === null ? {} : { kernelCmdline }),
      ima: ima && { from: ima.from, column: ima.column, data: ima.data },
      imaContinues: ima?.continues ?? false,
    }
  }

  async #readEventLog(): Promise<Uint8Array | null> {
    const firmware = (await this.#options.readEventLog?.()) ?? null
    const runtime = await this.#measurements.readLog()
    try {
      return composeTpmEventLog(firmware, runtime)
    } catch (error) {
      // The verifier says what is wrong with it.
      if (error instanceof AttestdError) return firmware
      throw error
    }
  }

  async #readIma(from: number, most?: number): Promise<Required<ImaLogRead> | null> {
    const read = (await this.#options.readImaLog?.(from, most)) ?? null
    if (read instanceof Uint8Array) return { from: 0, column: 'sha1', data: read, continues: false }
    return read && { ...read, continues: read.continues ?? false }
  }

  async #loadKept(): Promise<KeptKey | null> {
    const bytes = await this.#options.keyStore.load()
    return bytes === null ? null : parseKeptKey(bytes, this.#scheme)
  }

  async #requireKept(): Promise<KeptKey> {
    const kept = await this.#loadKept()
    if (kept === null) throw attesterErrors.error('AK_LOST', 'no attestation key is kept')
    return kept
  }

  /**
   * Waits for its turn, then runs. Who aborts gets an answer at once; the work under way still ends in order,
   * and flushes what it loaded, before the next turn begins.
   */
  #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      signal.throwIfAborted()
      return work()
    })
    this.#turn = done.catch(() => undefined)
    return abandonable(done, signal)
  }
}
