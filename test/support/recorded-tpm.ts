import { parseText } from '../../src/base/bytes.ts'
import { encode, sizedBytes, u16be } from '../../src/base/layout.ts'
import { type HashName, hashNames } from '../../src/evidence/tpm/algorithms.ts'
import type { TpmEvidence, TpmQuote } from '../../src/evidence/tpm/evidence.ts'
import { nameOf, parsePublic } from '../../src/evidence/tpm/public-area.ts'
import type { AkParent, PcrBankSelection, TpmEnrolment, TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import { vector, vectorJson } from './vectors.ts'

export type RecordedSelection = readonly (readonly [HashName, readonly number[]])[]

/** A step of `tpm/sequence/sequence.json`: one quote of one machine. */
export interface RecordedStep {
  readonly id: string
  readonly ak: string
  readonly nonce: string
  readonly eventLog: string
  readonly select: RecordedSelection
  readonly attest: { readonly resetCount: number }
  readonly ima: {
    readonly file: string
    readonly matchedPrefixEntries: number
    readonly pending: number
    readonly violations: number
  }
  readonly expect: string
}

export interface RecordedMachine {
  readonly aks: Record<string, { readonly file: string; readonly name: string; readonly parent: string }>
  readonly steps: readonly RecordedStep[]
}

/** An entry of `tpm/MANIFEST.json` for a file `….attest`. */
export interface RecordedQuote {
  readonly file: string
  readonly expected: {
    readonly verdict?: string
    readonly attest: { readonly extraData: string; readonly select: RecordedSelection }
    readonly qualifiedSignerProof?: { readonly parent: string }
    readonly with?: { readonly ak?: string; readonly pcrs?: string; readonly eventLog?: string; readonly ima?: string }
  }
}

const tpm = (path: string) => vector(`tpm/${path}`)
const withSize = (area: Uint8Array) => encode(sizedBytes(u16be), area)

/** The values of a recorded `….pcrs.json`. */
export function recordedPcrs(path: string): TpmQuote['pcrs'] {
  const banks = vectorJson(`tpm/${path}`) as Record<string, Record<string, string>>
  const named = hashNames.filter((hash) => Object.hasOwn(banks, hash))
  return new Map(
    named.map((hash) => [
      hash,
      new Map(Object.entries(banks[hash] ?? {}).map(([pcr, value]) => [Number(pcr), parseText(value, 'hex', pcr)])),
    ]),
  )
}

export interface RecordedParts {
  /** Files under `tpm/`. */
  readonly ak: string
  readonly attest: string
  readonly signature: string
  readonly pcrs?: string
  readonly eventLog?: string
  readonly ima?: string
}

/** Evidence of recorded files, as a guest would have sent it. */
export function recordedEvidence({ ak, attest, signature, pcrs, eventLog, ima }: RecordedParts): TpmEvidence {
  return {
    ak: { publicArea: withSize(tpm(ak)), certificate: null },
    ek: { publicArea: null, certificate: null, chain: [] },
    quotes: [
      { attest: tpm(attest), signature: tpm(signature), pcrs: pcrs === undefined ? new Map() : recordedPcrs(pcrs) },
    ],
    eventLog: eventLog === undefined ? null : tpm(eventLog),
    ima: ima === undefined ? null : { from: 0, column: 'sha1', data: tpm(ima) },
    simulated: false,
  }
}

/** The enrolment of a recorded key; `parent` is the EK's file, or the hierarchy of a primary key. */
export function recordedEnrolment(ak: string, parent: string | AkParent): TpmEnrolment {
  return {
    akName: nameOf(parsePublic(tpm(ak))),
    akTrust: 'ek-certificate',
    akParent: typeof parent === 'string' ? { under: 'ek', ekName: nameOf(parsePublic(tpm(parent))) } : parent,
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

export const selectionOf = (select: RecordedSelection): PcrBankSelection[] =>
  select.map(([hash, pcrs]) => ({ hash, pcrs }))

/** Inputs for a recorded quote: both logs are required, as far as the machine has them. */
export function recordedInputs(
  { nonce, select }: { readonly nonce: string; readonly select: RecordedSelection },
  enrolment: TpmEnrolment | null,
  logs: { readonly eventLog: 'required' | 'optional'; readonly ima: 'required' | 'optional' },
): TpmInputs {
  return {
    now: Date.UTC(2026, 0, 1),
    expected: { qualifyingData: parseText(nonce, 'hex', 'nonce'), selection: selectionOf(select) },
    enrolment,
    requirements: {
      banks: ['sha256', 'sha384'],
      pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
      ...logs,
      imaPcr: 10,
      // Two of the recorded logs have two violations.
      imaPolicy: { maxViolations: 2 },
      firmwareVersions: 'any',
    },
    simulator: false,
  }
}
