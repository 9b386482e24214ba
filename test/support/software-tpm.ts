import { constants, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { encode } from '../../src/base/layout.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { attestLayout, type TpmAttest } from '../../src/evidence/tpm/attest.ts'
import type { ImaLogPart, TpmEvidence, TpmQuote } from '../../src/evidence/tpm/evidence.ts'
import {
  attributesOf,
  encodeSizedPublic,
  nameOf,
  qualifiedNameOfChild,
  qualifiedNameOfPrimary,
  type TpmtPublic,
} from '../../src/evidence/tpm/public-area.ts'
import { encodeTpmSignature, type TpmtSignature } from '../../src/evidence/tpm/signature.ts'
import type { PcrBankSelection, TpmCounters, TpmEnrolment, TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import {
  encodeEventLog,
  encodeImaLog,
  evEfiAction,
  evNoAction,
  evSeparator,
  imaNgData,
  type MeasuredEvent,
} from './measured-logs.ts'

export type SoftwareKeyKind = 'P-256' | 'P-384' | 'P-521' | 'RSA-1024' | 'RSA-2048' | 'RSA-3072'

/** A key whose public area says what a TPM would say; in truth it lives in this process and signs anything. */
export interface SoftwareKey {
  readonly area: TpmtPublic
  readonly privateKey: KeyObject
}

/** Attributes of an AK as this project creates it: `00050472` (TPM-04). */
export const akAttributes = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'sign',
)
const ekAttributes = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
)
const fromBase64url = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))

function rsaKey(
  bits: number,
  head: Pick<TpmtPublic, 'nameAlg' | 'attributes' | 'authPolicy' | 'symmetric'>,
): SoftwareKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  const modulus = fromBase64url(publicKey.export({ format: 'jwk' }).n)
  const scheme = { algorithm: 'rsassa', hash: 'sha256' } as const
  return { privateKey, area: { type: 'rsa', ...head, scheme, keyBits: bits, exponent: 0, modulus } }
}

/** A fresh AK: ECDSA, or RSASSA, with SHA-256 and the attributes of TPM-04. Edit `area` to make another kind of it. */
export function makeSoftwareAk(kind: SoftwareKeyKind = 'P-256'): SoftwareKey {
  const head = {
    nameAlg: 'sha256',
    attributes: akAttributes,
    authPolicy: new Uint8Array(),
    symmetric: { algorithm: 'null' },
  } as const
  if (kind.startsWith('RSA-')) return rsaKey(Number(kind.slice(4)), head)
  const curve = kind as 'P-256' | 'P-384' | 'P-521'
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  const jwk = publicKey.export({ format: 'jwk' })
  const scheme = { algorithm: 'ecdsa', hash: 'sha256' } as const
  const point = { x: fromBase64url(jwk.x), y: fromBase64url(jwk.y) }
  return { privateKey, area: { type: 'ecc', ...head, scheme, curve, kdf: { algorithm: 'null' }, ...point } }
}

/** A fresh RSA-2048 EK in the form of the low-range template (tpm.md section 1.1). */
export function makeSoftwareEk(): SoftwareKey {
  return rsaSoftwareEk(makeSoftwareAk('RSA-2048'))
}

function rsaSoftwareEk({ area, privateKey }: SoftwareKey): SoftwareKey {
  const authPolicy = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex')
  const symmetric = { algorithm: 'aes', keyBits: 128, mode: 0x0043 } as const
  const template = { attributes: ekAttributes, authPolicy: new Uint8Array(authPolicy), symmetric }
  return { privateKey, area: { ...area, ...template, scheme: { algorithm: 'null' } } }
}

function ecdsaSignature(key: SoftwareKey, hash: HashName, message: Uint8Array): TpmtSignature {
  const both = sign(hash, message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  const half = both.length / 2
  return {
    algorithm: 'ecdsa',
    hash,
    r: new Uint8Array(both.subarray(0, half)),
    s: new Uint8Array(both.subarray(half)),
  }
}

/**
 * Signs any bytes under `scheme`, as TPMT_SIGNATURE. Where the scheme is not one for quotes by such a key it signs with
 * ECDSA or RSASSA and SHA-256.
 */
export function signAs(
  key: SoftwareKey,
  message: Uint8Array,
  scheme: TpmtPublic['scheme'] = key.area.scheme,
): TpmtSignature {
  const ecc = key.privateKey.asymmetricKeyType === 'ec'
  if (ecc) return ecdsaSignature(key, scheme.algorithm === 'ecdsa' ? scheme.hash : 'sha256', message)
  if (scheme.algorithm !== 'rsassa' && scheme.algorithm !== 'rsapss') {
    return signAs(key, message, { algorithm: 'rsassa', hash: 'sha256' })
  }
  const padding =
    scheme.algorithm === 'rsassa'
      ? { padding: constants.RSA_PKCS1_PADDING }
      : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const signature = new Uint8Array(sign(scheme.hash, message, { key: key.privateKey, ...padding }))
  return { algorithm: scheme.algorithm, hash: scheme.hash, signature }
}

export interface EvidenceOptions {
  /** What the verifier asked for; see `SoftwareTpm.defaultSelection`. */
  readonly selection?: readonly PcrBankSelection[]
  /** Instead of the machine's own log. */
  readonly eventLog?: Uint8Array | null
  /** Instead of the machine's own log. */
  readonly ima?: ImaLogPart | null
}

const imaPcr = 10

/**
 * A TPM that is played in this process: PCR banks, counters, an EK and an AK under it. Its evidence is what a healthy
 * machine would send; nothing about it is recorded, so that a test may change any field and sign it again.
 */
export class SoftwareTpm {
  static readonly defaultSelection: readonly PcrBankSelection[] = [
    { hash: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10] },
  ]

  readonly ek: SoftwareKey
  readonly ak: SoftwareKey
  readonly firmwareVersion = 0x2019102300163636n
  counters: TpmCounters = { resetCount: 7, restartCount: 0, clock: 42_000n, safe: true }
  /** Bank → PCR → value; PCR 0 to 7 and 10 hold something, as after a measured boot. */
  readonly banks = new Map<HashName, Map<number, Uint8Array>>()
  #events: MeasuredEvent[] = []
  #imaRecords: Uint8Array[] = []

  constructor({ ek = makeSoftwareEk(), ak = makeSoftwareAk() }: { ek?: SoftwareKey; ak?: SoftwareKey } = {}) {
    this.ek = ek
    this.ak = ak
    this.#boot()
  }

  get akName(): Uint8Array {
    return nameOf(this.ak.area)
  }

  /** Extends every bank of a PCR by the digest of `data`; no log knows of it. */
  extend(pcr: number, data: Uint8Array): void {
    for (const [hash, values] of this.banks) {
      values.set(pcr, digestOf(hash, this.value(hash, pcr), digestOf(hash, data)))
    }
  }

  /** What firmware does: extends, unless it is EV_NO_ACTION, and writes an event. */
  measure(event: MeasuredEvent): void {
    if (event.type !== evNoAction) this.extend(event.pcr, event.measured ?? event.data)
    this.#events.push(event)
  }

  /** What the kernel's IMA does with a file: extends PCR 10, and writes a record. */
  measureFile(path: string, fileDigest: Uint8Array = randomBytes(32)): void {
    const data = imaNgData(path, fileDigest)
    this.extend(imaPcr, data)
    this.#imaRecords.push(data)
  }

  eventLog(): Uint8Array {
    return encodeEventLog(this.#events, [...this.banks.keys()])
  }

  imaLog(from = 0): ImaLogPart {
    return { from, column: 'sha1', data: encodeImaLog(imaPcr, this.#imaRecords.slice(from)) }
  }

  /** Each as it stands in the log. */
  imaRecords(): Uint8Array[] {
    return this.#imaRecords.map((data) => encodeImaLog(imaPcr, [data]))
  }

  value(hash: HashName, pcr: number): Uint8Array {
    return this.banks.get(hash)?.get(pcr) ?? new Uint8Array(hashAlgorithms[hash].size)
  }

  /** As an old kernel would have extended PCR 10: by the SHA-1 template hash in every bank, padded with zeros (IMA-06). */
  padImaWithSha1(): void {
    for (const [hash, values] of this.banks) {
      const { size } = hashAlgorithms[hash]
      let value = new Uint8Array(size)
      for (const data of this.#imaRecords) {
        const padded = new Uint8Array(size)
        padded.set(digestOf('sha1', data))
        value = Uint8Array.from(digestOf(hash, value, padded))
      }
      values.set(imaPcr, value)
    }
  }

  /** TPM Reset after an orderly shutdown: the clock goes on, the PCRs start again. */
  reboot(): void {
    const { resetCount, clock } = this.counters
    this.counters = { resetCount: resetCount + 1, restartCount: 0, clock: clock + 5_000n, safe: true }
    this.#boot()
  }

  passTime(ms: bigint): void {
    this.counters = { ...this.counters, clock: this.counters.clock + ms }
  }

  /** The TPMS_ATTEST that TPM2_Quote would give now. */
  attest(qualifyingData: Uint8Array, selection = SoftwareTpm.defaultSelection): TpmAttest {
    const { scheme } = this.ak.area
    const values = selection.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => this.value(hash, pcr)))
    return {
      qualifiedSigner: qualifiedNameOfChild(qualifiedNameOfPrimary(this.ek.area, 'endorsement'), this.ak.area),
      extraData: qualifyingData,
      ...this.counters,
      safe: this.counters.safe ? 1 : 0,
      firmwareVersion: this.firmwareVersion,
      pcrSelect: selection.map(({ hash, pcrs }) => ({ hash: hashAlgorithms[hash].id, pcrs })),
      pcrDigest: digestOf('hash' in scheme ? scheme.hash : 'sha256', ...values),
    }
  }

  /** The values that belong to a selection. */
  pcrs(selection = SoftwareTpm.defaultSelection): TpmQuote['pcrs'] {
    const bank = ({ hash, pcrs }: PcrBankSelection) => new Map(pcrs.map((pcr) => [pcr, this.value(hash, pcr)]))
    return new Map(selection.map((selected) => [selected.hash, bank(selected)]))
  }

  /** Signs an attest, or any other bytes in its place, and puts values beside it. */
  quote(attest: TpmAttest | Uint8Array, pcrs: TpmQuote['pcrs'], by: SoftwareKey = this.ak): TpmQuote {
    const bytes = attest instanceof Uint8Array ? attest : encode(attestLayout, attest, 'attest')
    return { attest: bytes, signature: encodeTpmSignature(signAs(by, bytes)), pcrs }
  }

  /** What a healthy machine sends: one quote, the EK without a certificate, both logs. The clock goes on by 1 ms. */
  evidence(qualifyingData: Uint8Array, options: EvidenceOptions = {}): TpmEvidence {
    const { selection = SoftwareTpm.defaultSelection, eventLog = this.eventLog(), ima = this.imaLog() } = options
    this.passTime(1n)
    return {
      ak: { publicArea: encodeSizedPublic(this.ak.area), certificate: null },
      ek: { publicArea: encodeSizedPublic(this.ek.area), certificate: null, chain: [] },
      quotes: [this.quote(this.attest(qualifyingData, selection), this.pcrs(selection))],
      eventLog,
      ima,
      simulated: false,
    }
  }

  /** The record that an enrolment of this AK under this EK leaves, before its first quote. */
  enrolment(): TpmEnrolment {
    return {
      akName: this.akName,
      akTrust: 'ek-pinned',
      akParent: { under: 'ek', ekName: nameOf(this.ek.area) },
      ekSpkiSha256: null,
      ekCertSha256: null,
      ekNotAfter: null,
      anchor: null,
      instanceId: null,
      crlStatus: null,
      crlFreshUntil: null,
      simulated: false,
      counters: null,
      imaCheckpoint: null,
    }
  }

  /** Inputs under which `evidence(qualifyingData)` is affirmed: this AK is enrolled, both logs are required. */
  inputs(qualifyingData: Uint8Array, now = Date.UTC(2026, 0, 1)): TpmInputs {
    return {
      now,
      expected: { qualifyingData, selection: SoftwareTpm.defaultSelection },
      enrolment: this.enrolment(),
      requirements: {
        banks: ['sha256', 'sha384'],
        pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
        eventLog: 'required',
        ima: 'required',
        imaPcr: 10,
        firmwareVersions: 'any',
      },
      simulator: false,
    }
  }

  #boot(): void {
    this.#events = []
    this.#imaRecords = []
    for (const hash of ['sha1', 'sha256', 'sha384'] as const) this.banks.set(hash, new Map())
    this.measure({
      pcr: 4,
      type: evEfiAction,
      data: new TextEncoder().encode(`Boot ${randomBytes(8).toString('hex')}`),
    })
    for (let pcr = 0; pcr < 8; pcr++) this.measure({ pcr, type: evSeparator, data: new Uint8Array(4) })
    const firmware = Array.from({ length: 10 }, (_, pcr) => this.value('sha256', pcr))
    this.measureFile('boot_aggregate', digestOf('sha256', ...firmware))
    this.measureFile('/usr/lib/systemd/systemd')
  }
}
