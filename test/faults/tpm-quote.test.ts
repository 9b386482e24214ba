import { createECDH } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { encode } from '../../src/base/layout.ts'
import { parseEventLog } from '../../src/evidence/event-log/event-log.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { attestLayout, type TpmAttest } from '../../src/evidence/tpm/attest.ts'
import type { TpmEvidence, TpmQuote } from '../../src/evidence/tpm/evidence.ts'
import {
  encodeSizedPublic,
  nameOf,
  objectAttributes,
  qualifiedNameOfPrimary,
  type TpmtPublic,
} from '../../src/evidence/tpm/public-area.ts'
import { encodeTpmSignature, parseTpmSignature, type TpmtSignature } from '../../src/evidence/tpm/signature.ts'
import { appraiseTpm, type TpmAppraisal } from '../../src/verifier/tpm/appraise-tpm.ts'
import { type TpmCheckId, tpmChecks } from '../../src/verifier/tpm/checks.ts'
import { imaCheckIds } from '../../src/verifier/tpm/ima-checks.ts'
import type { PcrBankSelection, TpmCounters, TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import { evSeparator } from '../support/measured-logs.ts'
import {
  akAttributes,
  makeSoftwareAk,
  makeSoftwareEk,
  type SoftwareKey,
  SoftwareTpm,
  signAs,
} from '../support/software-tpm.ts'

/** A healthy machine, what it sent, and the inputs under which that is affirmed. */
interface Case {
  readonly tpm: SoftwareTpm
  readonly evidence: TpmEvidence
  readonly inputs: TpmInputs
}
type Change = (healthy: Case) => Partial<Case>

const nonce = Uint8Array.from({ length: 32 }, (_, index) => 200 - index)
const [ek, otherEk] = [makeSoftwareEk(), makeSoftwareEk()]
const [p256, p384, p521, rsa] = [
  makeSoftwareAk(),
  makeSoftwareAk('P-384'),
  makeSoftwareAk('P-521'),
  makeSoftwareAk('RSA-2048'),
]

function healthyCase(ak: SoftwareKey = p256): Case {
  const tpm = new SoftwareTpm({ ek, ak })
  return { tpm, evidence: tpm.evidence(nonce), inputs: tpm.inputs(nonce) }
}

function appraised(change: Change): TpmAppraisal {
  const healthy = healthyCase()
  const { evidence, inputs } = { ...healthy, ...change(healthy) }
  return appraiseTpm(evidence, inputs)
}

const failedOf = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
const reboundTo = (inputs: TpmInputs, expected: Partial<TpmInputs['expected']>): TpmInputs => ({
  ...inputs,
  expected: { ...inputs.expected, ...expected },
})
const requiring = (inputs: TpmInputs, requirements: Partial<TpmInputs['requirements']>): TpmInputs => ({
  ...inputs,
  requirements: { ...inputs.requirements, ...requirements },
})
const imageOf = (inputs: TpmInputs, hex: string): TpmInputs => {
  const banks = [{ hash: 'sha256' as const, pcrs: [{ pcr: 4, accepted: [hex] }] }]
  return { ...inputs, references: { id: '00'.repeat(32), pcrs: [{ image: 'golden', banks }], ima: null } }
}
const enrolledAs = (inputs: TpmInputs, enrolment: Partial<NonNullable<TpmInputs['enrolment']>>): TpmInputs => ({
  ...inputs,
  enrolment: inputs.enrolment && { ...inputs.enrolment, ...enrolment },
})

function onlyQuote({ evidence }: Case): TpmQuote {
  const [quote] = evidence.quotes
  if (!quote) throw new TypeError('no quote')
  return quote
}

/** Changes fields of the attest and signs it again, as somebody could who holds the key. */
const attestWith =
  (
    edit: (attest: TpmAttest, healthy: Case) => Partial<TpmAttest>,
    pcrs?: (healthy: Case) => TpmQuote['pcrs'],
  ): Change =>
  (healthy) => {
    const attest = healthy.tpm.attest(nonce)
    const quote = healthy.tpm.quote({ ...attest, ...edit(attest, healthy) }, pcrs?.(healthy) ?? healthy.tpm.pcrs())
    return { evidence: { ...healthy.evidence, quotes: [quote] } }
  }

/** As `attestWith`, on the encoded structure. */
const attestBytes =
  (edit: (bytes: Uint8Array) => Uint8Array): Change =>
  (healthy) => {
    const quote = healthy.tpm.quote(edit(Uint8Array.from(onlyQuote(healthy).attest)), healthy.tpm.pcrs())
    return { evidence: { ...healthy.evidence, quotes: [quote] } }
  }

/** Changes what nobody signed. */
const quoteWith =
  (edit: (quote: TpmQuote, healthy: Case) => Partial<TpmQuote>): Change =>
  (healthy) => {
    const quote = onlyQuote(healthy)
    return { evidence: { ...healthy.evidence, quotes: [{ ...quote, ...edit(quote, healthy) }] } }
  }

const signatureWith = (edit: (signature: TpmtSignature) => TpmtSignature): Change =>
  quoteWith(({ signature }) => ({ signature: encodeTpmSignature(edit(parseTpmSignature(signature))) }))

const evidenceWith =
  (edit: (evidence: TpmEvidence, healthy: Case) => Partial<TpmEvidence>): Change =>
  (healthy) => ({ evidence: { ...healthy.evidence, ...edit(healthy.evidence, healthy) } })

const inputsWith =
  (edit: (inputs: TpmInputs, healthy: Case) => TpmInputs): Change =>
  (healthy) => ({ inputs: edit(healthy.inputs, healthy) })

/** Enrols another kind of key, which then signs healthy quotes: only the key itself is at fault. */
const akWith =
  (edit: (area: TpmtPublic) => TpmtPublic, ak: SoftwareKey = p256): Change =>
  () =>
    healthyCase({ ...ak, area: edit(ak.area) })

/** Quotes these banks and PCRs instead, and the verifier asked for them. */
const quoting =
  (...selection: readonly PcrBankSelection[]): Change =>
  ({ tpm, inputs }) => ({ evidence: tpm.evidence(nonce, { selection }), inputs: reboundTo(inputs, { selection }) })

const withCounters = (counters: (now: TpmCounters) => Partial<TpmCounters>): Change =>
  inputsWith((inputs, { tpm }) => enrolledAs(inputs, { counters: { ...tpm.counters, ...counters(tpm.counters) } }))

function both(first: Change, second: Change): Change {
  return (healthy) => {
    const changed = { ...healthy, ...first(healthy) }
    return { ...changed, ...second(changed) }
  }
}

const editedAt = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const edited = Uint8Array.from(bytes)
  edited[at < 0 ? bytes.length + at : at] = value
  return edited
}
const flippedAt = (bytes: Uint8Array, at: number): Uint8Array =>
  editedAt(bytes, at, (bytes[at < 0 ? bytes.length + at : at] ?? 0) ^ 0x20)
const withTrailing = (bytes: Uint8Array): Uint8Array => concatBytes(bytes, Uint8Array.of(0))
const cut = (bytes: Uint8Array | null): Uint8Array => (bytes ?? new Uint8Array()).slice(0, -1)
const firmwarePcrs = [0, 1, 2, 3, 4, 5, 6, 7]
const usualPcrs = [...firmwarePcrs, 10]
const bankId = (hash: HashName) => hashAlgorithms[hash].id
const emptyBank = (hash: HashName): [HashName, ReadonlyMap<number, Uint8Array>] => [hash, new Map()]

/** Two quotes in one evidence: of SHA-256, then of SHA-384. */
function twoQuotes(edit: (second: TpmAttest, healthy: Case) => Partial<TpmAttest> = () => ({})): Change {
  const [first, second] = [
    [{ hash: 'sha256' as const, pcrs: usualPcrs }],
    [{ hash: 'sha384' as const, pcrs: usualPcrs }],
  ]
  return (healthy) => {
    const { tpm, evidence, inputs } = healthy
    const attest = tpm.attest(nonce, second)
    const quotes = [
      tpm.quote(tpm.attest(nonce, first), tpm.pcrs(first)),
      tpm.quote({ ...attest, ...edit(attest, healthy) }, tpm.pcrs(second)),
    ]
    return { evidence: { ...evidence, quotes }, inputs: reboundTo(inputs, { selection: [...first, ...second] }) }
  }
}

const eccOnly = (edit: (area: TpmtPublic & { type: 'ecc' }) => TpmtPublic) => (area: TpmtPublic) =>
  area.type === 'ecc' ? edit(area) : area
const rsaOnly = (edit: (area: TpmtPublic & { type: 'rsa' }) => TpmtPublic) => (area: TpmtPublic) =>
  area.type === 'rsa' ? edit(area) : area
const otherScheme = (scheme: TpmtPublic['scheme']) => (area: TpmtPublic) => ({ ...area, scheme })

const orderOfP256 = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const ecdsaWith = (
  edit: (signature: TpmtSignature & { algorithm: 'ecdsa' }) => Partial<{ r: Uint8Array; s: Uint8Array }>,
) => signatureWith((signature) => (signature.algorithm === 'ecdsa' ? { ...signature, ...edit(signature) } : signature))

const faults: Record<string, readonly [Change, ...TpmCheckId[]]> = {
  'PCRs of no golden image': [inputsWith((inputs) => imageOf(inputs, '00'.repeat(32))), 'tpm.references.pcrs'],
  'quotes: none': [evidenceWith(() => ({ quotes: [] })), 'tpm.quotes.count'],
  'quotes: five': [
    evidenceWith(({ quotes }) => ({ quotes: Array.from({ length: 5 }, () => quotes).flat() })),
    'tpm.quotes.count',
  ],
  'quotes: a bank in two of them': [
    evidenceWith(({ quotes }) => ({ quotes: [...quotes, ...quotes] })),
    'tpm.quotes.banks',
  ],
  'quotes: the second after a reset': [
    twoQuotes(({ resetCount }) => ({ resetCount: resetCount + 1 })),
    'tpm.quotes.boot',
  ],
  'quotes: the second after a resume': [
    twoQuotes(({ restartCount }) => ({ restartCount: restartCount + 1 })),
    'tpm.quotes.boot',
  ],
  'quotes: the second older than the first': [twoQuotes(({ clock }) => ({ clock: clock - 1n })), 'tpm.quotes.boot'],
  'quotes: the first as old as the last accepted one': [
    both(
      withCounters(() => ({})),
      twoQuotes(({ clock }) => ({ clock: clock + 9n })),
    ),
    'tpm.counters.rollback',
  ],
  'quotes: the second for another nonce': [twoQuotes(() => ({ extraData: new Uint8Array(32) })), 'tpm.quote.nonce'],
  'quotes: the second with another digest': [twoQuotes(() => ({ pcrDigest: new Uint8Array(32) })), 'tpm.pcrs.digest'],
  'quotes: the second by another key': [
    both(twoQuotes(), ({ tpm, evidence }) => {
      const [first, second] = evidence.quotes
      if (!first || !second) throw new TypeError('no quotes')
      const forged = tpm.quote(second.attest, second.pcrs, makeSoftwareAk())
      return { evidence: { ...evidence, quotes: [first, forged] } }
    }),
    'tpm.quote.signature',
  ],
  'quotes: the second is no quote': [
    both(twoQuotes(), ({ tpm, evidence }) => {
      const [first, second] = evidence.quotes
      if (!first || !second) throw new TypeError('no quotes')
      return { evidence: { ...evidence, quotes: [first, tpm.quote(editedAt(second.attest, 5, 0x17), second.pcrs)] } }
    }),
    'tpm.quote.kind',
  ],

  'ak.public: a byte behind it': [
    evidenceWith(({ ak }) => ({ ak: { ...ak, publicArea: withTrailing(ak.publicArea) } })),
    'tpm.ak.wellFormed',
  ],
  'ak.public: cut': [
    evidenceWith(({ ak }) => ({ ak: { ...ak, publicArea: ak.publicArea.slice(0, -1) } })),
    'tpm.ak.wellFormed',
  ],
  'ak.public: without its size': [
    evidenceWith(({ ak }) => ({ ak: { ...ak, publicArea: ak.publicArea.slice(2) } })),
    'tpm.ak.wellFormed',
  ],
  'ak.public: named by SM3': [
    evidenceWith(({ ak }) => ({ ak: { ...ak, publicArea: editedAt(ak.publicArea, 5, 0x12) } })),
    'tpm.ak.wellFormed',
  ],
  'ak: named by SHA-1': [akWith((area) => ({ ...area, nameAlg: 'sha1' })), 'tpm.ak.strength'],
  'ak: RSA of 1024 bits': [akWith((area) => area, makeSoftwareAk('RSA-1024')), 'tpm.ak.strength'],
  'ak: RSA with exponent 3': [
    akWith(
      rsaOnly((area) => ({ ...area, exponent: 3 })),
      rsa,
    ),
    'tpm.ak.strength',
  ],
  'ak: on SM2': [akWith(eccOnly((area) => ({ ...area, curve: 'SM2' }))), 'tpm.ak.strength'],
  'ak: a point off its curve': [akWith(eccOnly((area) => ({ ...area, y: area.x }))), 'tpm.ak.strength'],
  'ak: decrypts as well': [
    akWith((area) => ({ ...area, attributes: akAttributes + 2 ** objectAttributes.decrypt })),
    'tpm.ak.attributes',
  ],
  'ak: bound to no scheme': [akWith(otherScheme({ algorithm: 'null' })), 'tpm.ak.scheme'],
  'ak: bound to ECDAA': [akWith(otherScheme({ algorithm: 'ecdaa', hash: 'sha256', count: 0 })), 'tpm.ak.scheme'],
  'ak: an ECC key bound to RSASSA': [akWith(otherScheme({ algorithm: 'rsassa', hash: 'sha256' })), 'tpm.ak.scheme'],
  'ak: an RSA key bound to ECDSA': [
    akWith(otherScheme({ algorithm: 'ecdsa', hash: 'sha256' }), makeSoftwareAk('RSA-2048')),
    'tpm.ak.scheme',
  ],
  'ak: its scheme hashes with SHA-1': [akWith(otherScheme({ algorithm: 'ecdsa', hash: 'sha1' })), 'tpm.ak.schemeHash'],
  'ak: not enrolled': [inputsWith((inputs) => ({ ...inputs, enrolment: null })), 'tpm.ak.known'],
  'ak: another one under the same EK': [
    inputsWith((inputs) => enrolledAs(inputs, { akName: nameOf(makeSoftwareAk().area) })),
    'tpm.ak.known',
  ],
  'ak: of another TPM': [
    () => ({ evidence: new SoftwareTpm({ ek: otherEk }).evidence(nonce) }),
    'tpm.ak.known',
    'tpm.quote.signer',
  ],
  'ak: a copy of the public area, another key behind it': [
    ({ tpm, evidence }) => ({
      evidence: { ...evidence, quotes: [tpm.quote(tpm.attest(nonce), tpm.pcrs(), makeSoftwareAk())] },
    }),
    'tpm.quote.signature',
  ],
  'ek: its certificate has expired': [
    inputsWith((inputs) => enrolledAs(inputs, { ekNotAfter: inputs.now - 1 })),
    'tpm.ek.current',
  ],
  'enrolment: of a simulator, whatever the evidence says': [
    inputsWith((inputs) => enrolledAs(inputs, { simulated: true })),
    'tpm.hardware',
  ],
  'hints.simulated': [evidenceWith(() => ({ simulated: true })), 'tpm.hardware'],

  'attest.magic': [attestBytes((bytes) => editedAt(bytes, 0, 0xfe)), 'tpm.quote.kind'],
  'attest.type: certify': [attestBytes((bytes) => editedAt(bytes, 5, 0x17)), 'tpm.quote.kind'],
  'attest.type: NV': [attestBytes((bytes) => editedAt(bytes, 5, 0x14)), 'tpm.quote.kind'],
  'attest: five bytes': [attestBytes((bytes) => bytes.slice(0, 5)), 'tpm.quote.kind'],
  'attest: with the size prefix of TPM2B_ATTEST': [
    attestBytes((bytes) => concatBytes(Uint8Array.of(0, bytes.length), bytes)),
    'tpm.quote.kind',
  ],
  'attest: a byte behind it': [attestBytes(withTrailing), 'tpm.quote.wellFormed'],
  'attest: cut': [attestBytes((bytes) => bytes.slice(0, -1)), 'tpm.quote.wellFormed'],
  'attest.safe: 2': [attestWith(() => ({ safe: 2 })), 'tpm.quote.wellFormed'],
  'attest.qualifiedSigner': [
    attestWith(({ qualifiedSigner }) => ({ qualifiedSigner: flippedAt(qualifiedSigner, -1) })),
    'tpm.quote.signer',
  ],
  'attest.qualifiedSigner: a primary key': [
    attestWith((_, { tpm }) => ({ qualifiedSigner: qualifiedNameOfPrimary(tpm.ak.area, 'endorsement') })),
    'tpm.quote.signer',
  ],
  'attest.extraData: of an older request': [
    attestWith(({ extraData }) => ({ extraData: flippedAt(extraData, 0) })),
    'tpm.quote.nonce',
  ],
  'attest.extraData: a prefix': [
    attestWith(({ extraData }) => ({ extraData: extraData.slice(0, 31) })),
    'tpm.quote.nonce',
  ],
  'attest.extraData: padded': [
    attestWith(({ extraData }) => ({ extraData: withTrailing(extraData) })),
    'tpm.quote.nonce',
  ],
  'attest.extraData: seven bytes, as expected': [
    both(
      attestWith(() => ({ extraData: nonce.slice(0, 7) })),
      inputsWith((inputs) => reboundTo(inputs, { qualifyingData: nonce.slice(0, 7) })),
    ),
    'tpm.quote.nonceLength',
  ],
  'attest.extraData: empty, as expected, with a minimum of 0': [
    both(
      attestWith(() => ({ extraData: new Uint8Array() })),
      inputsWith((inputs) => reboundTo(inputs, { qualifyingData: new Uint8Array(), minimumLength: 0 })),
    ),
    'tpm.quote.nonceLength',
  ],
  'attest.extraData: shorter than this verifier wants': [
    inputsWith((inputs) => reboundTo(inputs, { minimumLength: 33 })),
    'tpm.quote.nonceLength',
  ],
  'attest.firmwareVersion: not accepted': [
    inputsWith((inputs) => requiring(inputs, { firmwareVersions: [1n] })),
    'tpm.quote.firmware',
  ],
  'attest.firmwareVersion: compared for a key of the owner hierarchy': [
    both(
      inputsWith((inputs, { tpm }) =>
        enrolledAs(requiring(inputs, { firmwareVersions: [tpm.firmwareVersion] }), {
          akParent: { under: 'hierarchy', hierarchy: 'owner' },
        }),
      ),
      attestWith((_, { tpm }) => ({ qualifiedSigner: qualifiedNameOfPrimary(tpm.ak.area, 'owner') })),
    ),
    'tpm.quote.firmware',
  ],
  'enrolment: another EK': [
    inputsWith((inputs) => enrolledAs(inputs, { akParent: { under: 'ek', ekName: nameOf(otherEk.area) } })),
    'tpm.quote.signer',
  ],
  'enrolment: an EK name that is none': [
    inputsWith((inputs) => enrolledAs(inputs, { akParent: { under: 'ek', ekName: Uint8Array.of(0, 11, 1) } })),
    'tpm.quote.signer',
  ],

  'attest.resetCount: smaller than when last accepted': [
    withCounters(({ resetCount }) => ({ resetCount: resetCount + 1, clock: 0n })),
    'tpm.counters.rollback',
  ],
  'attest.restartCount: smaller than when last accepted': [
    withCounters(() => ({ restartCount: 1, clock: 0n })),
    'tpm.counters.rollback',
  ],
  'attest.clock: as when last accepted': [withCounters(() => ({})), 'tpm.counters.rollback'],
  'attest.clock: smaller than when last accepted': [
    withCounters(({ clock }) => ({ clock: clock + 1n })),
    'tpm.counters.rollback',
  ],

  'attest.pcrSelect: nothing': [
    attestWith(
      () => ({ pcrSelect: [] }),
      () => new Map(),
    ),
    'tpm.quote.selection',
  ],
  'attest.pcrSelect: a bank that is not active': [
    attestWith(
      () => ({ pcrSelect: [{ hash: bankId('sha256'), pcrs: [] }] }),
      () => new Map(),
    ),
    'tpm.quote.selection',
  ],
  'attest.pcrSelect: an unknown bank': [
    attestWith(({ pcrSelect }) => ({ pcrSelect: [...pcrSelect, { hash: 0x12, pcrs: [0] }] })),
    'tpm.quote.selection',
  ],
  'attest.pcrSelect: a bank twice': [
    attestWith(({ pcrSelect }) => ({ pcrSelect: [...pcrSelect, ...pcrSelect] })),
    'tpm.quote.selection',
  ],
  'attest.pcrSelect: PCR 24': [attestBytes((bytes) => selecting(bytes, 0xff, 0x04, 0x00, 0x01)), 'tpm.quote.selection'],
  'attest.pcrSelect: more than was asked for': [
    inputsWith((inputs) => reboundTo(inputs, { selection: [{ hash: 'sha256', pcrs: firmwarePcrs }] })),
    'tpm.quote.asked',
  ],
  'attest.pcrSelect: another bank than was asked for': [
    ({ tpm }) => ({ evidence: tpm.evidence(nonce, { selection: [{ hash: 'sha384', pcrs: usualPcrs }] }) }),
    'tpm.quote.asked',
  ],
  'attest.pcrSelect: lacks PCR 7': [
    quoting({ hash: 'sha256', pcrs: usualPcrs.filter((pcr) => pcr !== 7) }),
    'tpm.pcrs.required',
  ],
  'attest.pcrSelect: required PCRs in two banks, in none of them all': [
    quoting({ hash: 'sha256', pcrs: [0, 1, 2, 3, 10] }, { hash: 'sha384', pcrs: [4, 5, 6, 7, 10] }),
    'tpm.pcrs.required',
  ],
  'attest.pcrSelect: a bank that is not among the required': [
    inputsWith((inputs) => requiring(inputs, { banks: ['sha384'] })),
    'tpm.pcrs.required',
  ],
  'attest.pcrSelect: SHA-1 alone': [
    quoting({ hash: 'sha1', pcrs: usualPcrs }),
    'tpm.pcrs.strongBank',
    'tpm.pcrs.required',
    'tpm.ima.present',
  ],
  'attest.pcrSelect: SHA-1 alone, and required': [
    both(
      quoting({ hash: 'sha1', pcrs: usualPcrs }),
      inputsWith((inputs) => requiring(inputs, { banks: ['sha1'], ima: 'optional' })),
    ),
    'tpm.pcrs.strongBank',
    'tpm.pcrs.required',
  ],
  'attest.pcrSelect: SHA-1 whole, SHA-256 with PCR 0 only': [
    quoting({ hash: 'sha1', pcrs: usualPcrs }, { hash: 'sha256', pcrs: [0] }),
    'tpm.pcrs.required',
    'tpm.ima.present',
  ],
  'attest.pcrSelect: SHA-1 beside a bank that is not active': [
    quoting({ hash: 'sha1', pcrs: usualPcrs }, { hash: 'sha256', pcrs: [] }),
    'tpm.pcrs.strongBank',
    'tpm.pcrs.required',
    'tpm.ima.present',
  ],
  'attest.pcrSelect: PCR 23, shown as PCR 10': [
    ({ tpm, evidence }) => {
      const selection = [{ hash: 'sha256' as const, pcrs: [...firmwarePcrs, 23] }]
      const wanted = tpm.value('sha256', 10)
      tpm.banks.get('sha256')?.set(23, wanted)
      const quote = tpm.quote(tpm.attest(nonce, selection), tpm.pcrs())
      return { evidence: { ...evidence, quotes: [quote] } }
    },
    'tpm.quote.asked',
    'tpm.pcrs.map',
    'tpm.pcrs.required',
  ],
  'attest.pcrDigest': [attestWith(({ pcrDigest }) => ({ pcrDigest: flippedAt(pcrDigest, 3) })), 'tpm.pcrs.digest'],
  'attest.pcrDigest: by the hash of the bank instead of the scheme': [
    both(
      () => healthyCase({ ...p384, area: otherScheme({ algorithm: 'ecdsa', hash: 'sha384' })(p384.area) }),
      attestWith((_, { tpm }) => ({
        pcrDigest: digestOf('sha256', ...usualPcrs.map((pcr) => tpm.value('sha256', pcr))),
      })),
    ),
    'tpm.pcrs.digest',
  ],
  'pcrs: a value changed': [
    quoteWith((_, { tpm }) => {
      tpm.extend(4, Uint8Array.of(1))
      return { pcrs: tpm.pcrs() }
    }),
    'tpm.pcrs.digest',
  ],
  'pcrs: two values exchanged': [
    quoteWith(({ pcrs }) => {
      const bank = new Map(pcrs.get('sha256'))
      const [four, five] = [bank.get(4), bank.get(5)]
      if (!four || !five) throw new TypeError('no values')
      return { pcrs: new Map([['sha256' as const, bank.set(4, five).set(5, four)]]) }
    }),
    'tpm.pcrs.digest',
  ],
  'pcrs: a value missing': [
    quoteWith(({ pcrs }) => ({ pcrs: new Map([['sha256' as const, without(pcrs.get('sha256'), 3)]]) })),
    'tpm.pcrs.map',
  ],
  'pcrs: a value that is not signed': [
    quoteWith((_, { tpm }) => ({ pcrs: tpm.pcrs([{ hash: 'sha256', pcrs: [...usualPcrs, 11] }]) })),
    'tpm.pcrs.map',
  ],
  'pcrs: a bank that is not signed': [
    quoteWith((_, { tpm }) => ({
      pcrs: tpm.pcrs([...SoftwareTpm.defaultSelection, { hash: 'sha384', pcrs: [0] }]),
    })),
    'tpm.pcrs.map',
  ],
  'pcrs: an empty bank that is not signed': [
    quoteWith(({ pcrs }) => ({ pcrs: new Map([...pcrs, emptyBank('sha384')]) })),
    'tpm.pcrs.map',
  ],
  'pcrs: the bank of the first quote, empty beside the second, and a log that is wrong in it': [
    both(twoQuotes(), ({ evidence, tpm }) => {
      const [first, second] = evidence.quotes
      if (!first || !second) throw new TypeError('no quotes')
      const hiding = { ...second, pcrs: new Map([...second.pcrs, emptyBank('sha256')]) }
      return { evidence: { ...evidence, quotes: [first, hiding], eventLog: withWrongDigests(tpm, 'sha256') } }
    }),
    'tpm.pcrs.map',
  ],
  'pcrs: the values of another bank': [
    quoteWith(({ pcrs }) => ({ pcrs: new Map([['sha384' as const, pcrs.get('sha256') ?? new Map()]]) })),
    'tpm.pcrs.map',
  ],
  'pcrs: two values cut differently, together the same bytes': [
    quoteWith(({ pcrs }) => {
      const bank = new Map(pcrs.get('sha256'))
      const joined = concatBytes(bank.get(0) ?? nonce, bank.get(1) ?? nonce)
      return { pcrs: new Map([['sha256' as const, bank.set(0, joined.slice(0, 31)).set(1, joined.slice(31))]]) }
    }),
    'tpm.pcrs.map',
  ],
  'pcrs: all zero': [
    ({ tpm }) => {
      tpm.banks.set('sha256', new Map())
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.pcrs.measured',
    'tpm.eventlog.replay',
    'tpm.ima.replay',
  ],
  'pcrs: all zero in one of two banks': [
    both(
      ({ tpm }) => {
        const [kept, register] = [tpm.value('sha384', 10), new Map<number, Uint8Array>()]
        tpm.banks.set('sha384', register.set(10, kept))
        return {}
      },
      quoting({ hash: 'sha256', pcrs: usualPcrs }, { hash: 'sha384', pcrs: usualPcrs }),
    ),
    'tpm.pcrs.measured',
    'tpm.eventlog.replay',
  ],

  'signature: a byte behind it': [
    quoteWith(({ signature }) => ({ signature: withTrailing(signature) })),
    'tpm.quote.signatureForm',
  ],
  'signature: an unknown algorithm': [
    quoteWith(({ signature }) => ({ signature: editedAt(signature, 1, 0x1a) })),
    'tpm.quote.signatureForm',
  ],
  'signature.hash: another one': [signatureWith((signature) => ({ ...signature, hash: 'sha384' })), 'tpm.quote.scheme'],
  'signature: really by another hash': [
    quoteWith(({ attest }, { tpm }) => ({
      signature: encodeTpmSignature(signAs(tpm.ak, attest, { algorithm: 'ecdsa', hash: 'sha1' })),
    })),
    'tpm.quote.scheme',
  ],
  'signature: RSAPSS by an RSASSA key': [
    both(
      () => healthyCase(rsa),
      quoteWith(({ attest }) => ({
        signature: encodeTpmSignature(signAs(rsa, attest, { algorithm: 'rsapss', hash: 'sha256' })),
      })),
    ),
    'tpm.quote.scheme',
  ],
  'signature: RSASSA bytes, labelled RSAPSS, of an RSAPSS key': [
    both(
      akWith(otherScheme({ algorithm: 'rsapss', hash: 'sha256' }), rsa),
      quoteWith(({ attest }) => ({
        signature: encodeTpmSignature({
          ...(signAs(rsa, attest) as TpmtSignature & { algorithm: 'rsassa' }),
          algorithm: 'rsapss',
        }),
      })),
    ),
    'tpm.quote.signature',
  ],
  'signature: RSA, cut': [
    both(
      () => healthyCase(rsa),
      signatureWith((signature) =>
        'signature' in signature ? { ...signature, signature: signature.signature.slice(1) } : signature,
      ),
    ),
    'tpm.quote.signature',
  ],
  'signature: over other bytes': [
    quoteWith(({ attest }) => ({ attest: flippedAt(attest, 50) })),
    'tpm.quote.nonce',
    'tpm.quote.signature',
  ],
  'signature.r: zero': [ecdsaWith(() => ({ r: new Uint8Array(32) })), 'tpm.quote.signature'],
  'signature.r: empty': [ecdsaWith(() => ({ r: new Uint8Array() })), 'tpm.quote.signature'],
  'signature.s: zero': [ecdsaWith(() => ({ s: new Uint8Array(32) })), 'tpm.quote.signature'],
  'signature.s: the order of the curve': [ecdsaWith(() => ({ s: new Uint8Array(orderOfP256) })), 'tpm.quote.signature'],
  'signature.r: longer than the field': [
    ecdsaWith(({ r }) => ({ r: concatBytes(Uint8Array.of(0), r) })),
    'tpm.quote.signature',
  ],
  'signature: r and s exchanged': [ecdsaWith(({ r, s }) => ({ r: s, s: r })), 'tpm.quote.signature'],

  'eventlog: missing': [evidenceWith(() => ({ eventLog: null })), 'tpm.eventlog.present'],
  'eventlog: cut': [evidenceWith(({ eventLog }) => ({ eventLog: cut(eventLog) })), 'tpm.eventlog.wellFormed'],
  'eventlog: a digest changed': [
    evidenceWith(({ eventLog }) => ({ eventLog: eventLog && flippedAt(eventLog, -80) })),
    'tpm.eventlog.replay',
    'tpm.eventlog.payloads',
    'tpm.eventlog.types',
    'tpm.eventlog.secureBoot',
  ],
  'eventlog: wrong in one of two banks': [
    both(twoQuotes(), ({ evidence, tpm }) => ({
      evidence: { ...evidence, eventLog: withWrongDigests(tpm, 'sha256') },
    })),
    'tpm.eventlog.replay',
    'tpm.eventlog.types',
  ],
  'eventlog: the last event left out': [
    evidenceWith((_, { tpm }) => {
      const before = tpm.eventLog()
      tpm.measure({ pcr: 5, type: 0x80000007, data: Uint8Array.of(1) })
      return { ...tpm.evidence(nonce), eventLog: before }
    }),
    'tpm.eventlog.replay',
  ],
  'eventlog: lacks a quoted bank': [
    ({ tpm, inputs }) => {
      const eventLog = tpm.eventLog()
      tpm.banks.set('sha512', new Map())
      tpm.extend(11, nonce)
      const selection = [...SoftwareTpm.defaultSelection, { hash: 'sha512' as const, pcrs: [11] }]
      return { evidence: tpm.evidence(nonce, { selection, eventLog }), inputs: reboundTo(inputs, { selection }) }
    },
    'tpm.eventlog.banks',
  ],
  'eventlog: states its locality after a measurement': [
    ({ tpm }) => {
      const data = new TextEncoder().encode('StartupLocality\0\0')
      tpm.measure({ pcr: 0, type: 0x00000003, data })
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.eventlog.locality',
  ],
  'eventlog: data of an action changed': [
    evidenceWith(({ eventLog }) => ({ eventLog: eventLog && editedAt(eventLog, indexOfText(eventLog, 'Boot'), 0x62) })),
    'tpm.eventlog.payloads',
  ],
  'eventlog: a second separator': [
    ({ tpm }) => {
      tpm.measure({ pcr: 4, type: evSeparator, data: new Uint8Array(4) })
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.eventlog.separators',
  ],
  'eventlog: a separator under another type': [
    ({ tpm }) => {
      tpm.measure({ pcr: 4, type: 0x0000000d, data: new Uint8Array(4) })
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.eventlog.types',
  ],
  'eventlog: configuration of secure boot behind its separator': [
    ({ tpm }) => {
      tpm.measure({ pcr: 7, type: 0x80000001, data: Uint8Array.of(1) })
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.eventlog.secureBoot',
  ],
  'ima: missing': [evidenceWith(() => ({ ima: null })), 'tpm.ima.present'],
  'ima.from: 1': [evidenceWith(({ ima }) => ({ ima: ima && { ...ima, from: 1 } })), 'tpm.ima.offset'],
  'ima: its register is not quoted': [
    both(
      quoting({ hash: 'sha256', pcrs: firmwarePcrs }),
      inputsWith((inputs) => requiring(inputs, { imaPcr: 10 })),
    ),
    'tpm.pcrs.required',
    'tpm.ima.present',
  ],
  'ima: cut': [
    evidenceWith(({ ima }) => ({ ima: ima && { ...ima, data: ima.data.slice(0, -1) } })),
    'tpm.ima.wellFormed',
  ],
  'ima: a file digest changed': [
    evidenceWith(({ ima }) => ({ ima: ima && { ...ima, data: flippedAt(ima.data, -40) } })),
    'tpm.ima.replay',
    'tpm.ima.column',
  ],
  'ima.column: another one': [
    evidenceWith(({ ima }) => ({ ima: ima && { ...ima, column: 'sha256' } })),
    'tpm.ima.wellFormed',
  ],
  'ima: a template hash changed': [
    evidenceWith(({ ima }) => ({ ima: ima && { ...ima, data: flippedAt(ima.data, 10) } })),
    'tpm.ima.column',
  ],
  'ima: padded SHA-1 values in place of hashes': [
    ({ tpm }) => {
      tpm.padImaWithSha1()
      return { evidence: tpm.evidence(nonce) }
    },
    'tpm.ima.sha1',
  ],
  'ima: the last record left out': [
    (healthy) => {
      const before = healthy.tpm.imaLog()
      healthy.tpm.measureFile('/usr/bin/later')
      return { evidence: healthy.tpm.evidence(nonce, { ima: before }) }
    },
    'tpm.ima.replay',
  ],
}

/** The log of the machine with other digests in one of its banks. */
function withWrongDigests(tpm: SoftwareTpm, bank: HashName): Uint8Array {
  const log = tpm.eventLog()
  for (const { digests } of parseEventLog(log).events) digests.get(bankId(bank))?.fill(0x66)
  return log
}

const indexOfText = (bytes: Uint8Array, text: string) => Buffer.from(bytes).indexOf(text)

/** Replaces the one selection of a healthy attest, whose bitmap is ff 04 00. */
function selecting(bytes: Uint8Array, ...bitmap: readonly number[]): Uint8Array {
  const at = Buffer.from(bytes).indexOf(Buffer.from('00000001000b03ff0400', 'hex'))
  if (at < 0) throw new TypeError('no selection')
  return concatBytes(bytes.slice(0, at + 6), Uint8Array.of(bitmap.length, ...bitmap), bytes.slice(at + 10))
}

function without(bank: ReadonlyMap<number, Uint8Array> | undefined, pcr: number): Map<number, Uint8Array> {
  return new Map([...(bank ?? [])].filter(([index]) => index !== pcr))
}

/** A signature whose r has a leading zero byte, with that byte stripped, as some TPMs send it. */
const strippedSignature: Change = quoteWith(({ attest }, { tpm }) => {
  for (;;) {
    const signature = signAs(tpm.ak, attest)
    if (signature.algorithm === 'ecdsa' && signature.r[0] === 0) {
      return { signature: encodeTpmSignature({ ...signature, r: signature.r.slice(1) }) }
    }
  }
})

const affirmations: Record<string, Change> = {
  'ECDSA P-256 with SHA-256': () => ({}),
  'ECDSA P-384 with SHA-384, over the SHA-256 bank': () =>
    healthyCase({ ...p384, area: otherScheme({ algorithm: 'ecdsa', hash: 'sha384' })(p384.area) }),
  'ECDSA P-521 with SHA-512, named by SHA-512': () =>
    healthyCase({
      ...p521,
      area: { ...p521.area, nameAlg: 'sha512', scheme: { algorithm: 'ecdsa', hash: 'sha512' } },
    }),
  'RSASSA 2048': () => healthyCase(rsa),
  'RSAPSS 2048': akWith(otherScheme({ algorithm: 'rsapss', hash: 'sha256' }), rsa),
  'a key without noDA': akWith((area) => ({ ...area, attributes: akAttributes - 2 ** objectAttributes.noDA })),
  'r without its leading zero': strippedSignature,
  'two quotes, the second a little later': twoQuotes(({ clock }) => ({ clock: clock + 9n })),
  'two banks in one quote, one of them SHA-1': quoting(
    { hash: 'sha1', pcrs: usualPcrs },
    { hash: 'sha256', pcrs: usualPcrs },
  ),
  'a bitmap of four bytes whose last is zero': attestBytes((bytes) => selecting(bytes, 0xff, 0x04, 0x00, 0x00)),
  'a primary key of the owner hierarchy': both(
    inputsWith((inputs) => enrolledAs(inputs, { akParent: { under: 'hierarchy', hierarchy: 'owner' } })),
    attestWith((_, { tpm }) => ({ qualifiedSigner: qualifiedNameOfPrimary(tpm.ak.area, 'owner') })),
  ),
  'nothing but PCR 7 measured': both(
    ({ tpm }) => {
      tpm.banks.set('sha256', new Map([[7, tpm.value('sha256', 7)]]))
      return { evidence: tpm.evidence(nonce) }
    },
    inputsWith((inputs) => requiring(inputs, { eventLog: 'optional', ima: 'optional' })),
  ),
  'nothing was asked for': inputsWith((inputs) => reboundTo(inputs, { selection: 'any' })),
  'the selection was asked for in another order': inputsWith((inputs) =>
    reboundTo(inputs, { selection: [{ hash: 'sha256', pcrs: [...usualPcrs].reverse() }] }),
  ),
  'eight bytes of qualifying data': both(
    attestWith(() => ({ extraData: nonce.slice(0, 8) })),
    inputsWith((inputs) => reboundTo(inputs, { qualifyingData: nonce.slice(0, 8) })),
  ),
  'an accepted firmware version': inputsWith((inputs, { tpm }) =>
    requiring(inputs, { firmwareVersions: [1n, tpm.firmwareVersion] }),
  ),
  'the last moment of the EK certificate': inputsWith((inputs) =>
    enrolledAs({ ...inputs, now: inputs.now + 999 }, { ekNotAfter: inputs.now }),
  ),
  'the clock went on by a millisecond': withCounters(({ clock }) => ({ clock: clock - 1n })),
  'a resume, whatever the clock': withCounters(({ clock, restartCount }) => ({
    restartCount: restartCount - 1,
    clock: clock + 9n,
  })),
  'a reset, whatever the clock and the restart count': withCounters(({ clock, resetCount }) => ({
    resetCount: resetCount - 1,
    restartCount: 9,
    clock: clock + 9n,
  })),
  'an unsafe clock before': withCounters(({ clock }) => ({ clock: clock + 9n, safe: false })),
  'an unsafe clock now': both(
    withCounters(({ clock }) => ({ clock: clock + 9n })),
    attestWith(() => ({ safe: 0 })),
  ),
  'a simulator, for a test verifier': both(
    evidenceWith(() => ({ simulated: true })),
    inputsWith((inputs) => ({ ...inputs, simulator: true })),
  ),
  'padded SHA-1 values, where policy takes them': both(
    ({ tpm }) => {
      tpm.padImaWithSha1()
      return { evidence: tpm.evidence(nonce) }
    },
    inputsWith((inputs) => requiring(inputs, { acceptSha1Padded: true })),
  ),
  'PCRs of a golden image': inputsWith((inputs, { tpm }) => imageOf(inputs, toHex(tpm.value('sha256', 4)))),
  'an AK that is not enrolled, where policy says so': inputsWith((inputs) =>
    requiring({ ...inputs, enrolment: null }, { allowUnenrolled: true }),
  ),
  'no logs, where they are optional': both(
    evidenceWith(() => ({ eventLog: null, ima: null })),
    inputsWith((inputs) => requiring(inputs, { eventLog: 'optional', ima: 'optional' })),
  ),
  'bad logs, where they are optional': both(
    evidenceWith(({ eventLog, ima }) => ({
      eventLog: cut(eventLog),
      ima: ima && { ...ima, data: flippedAt(ima.data, -40) },
    })),
    inputsWith((inputs) => requiring(inputs, { eventLog: 'optional', ima: 'optional' })),
  ),
}

const attributeRows = (['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const).map(
  (name): [string, readonly [Change, ...TpmCheckId[]]] => [
    `ak: ${name} clear`,
    [akWith((area) => ({ ...area, attributes: akAttributes - 2 ** objectAttributes[name] })), 'tpm.ak.attributes'],
  ],
)
const rows = [...Object.entries(faults), ...attributeRows]

describe('one change of a healthy quote makes exactly these checks fail (TT-1)', () => {
  it.each(rows)('%s', (_what, [change, ...expected]) => {
    const appraisal = appraised(change)
    expect([...failedOf(appraisal)].sort()).toEqual([...expected].sort())
    expect(appraisal).toMatchObject({ affirmed: false, claims: {}, akName: null, counters: null, newBoot: null })
    expect(appraisal).toMatchObject({ simulated: null, pcrs: null })
  })
})

describe('what is healthy is affirmed', () => {
  it.each(Object.entries(affirmations))('%s', (_what, change) => {
    const appraisal = appraised(change)
    expect(appraisal.findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')).toEqual([])
    expect(appraisal.affirmed).toBe(true)
  })
})

describe('the declared checks', () => {
  it('all fail in a row and pass in a row', () => {
    const changes = [...rows.map(([, [change]]) => change), ...Object.values(affirmations)]
    const outcomes = changes.flatMap((change) => appraised(change).findings)
    const seen = (wanted: string) => new Set(outcomes.filter(({ outcome }) => outcome === wanted).map(({ id }) => id))
    const [failing, passing] = [seen('failed'), seen('passed')]
    // Those of what IMA logs say have a table of their own, beside the code.
    const ofContent = new Set<string>(imaCheckIds.slice(imaCheckIds.indexOf('tpm.ima.template')))
    const declared = (Object.keys(tpmChecks) as TpmCheckId[]).filter((id) => !ofContent.has(id))
    expect(declared.filter((id) => !failing.has(id))).toEqual([])
    expect(declared.filter((id) => !passing.has(id))).toEqual([])
  })

  it('are listed in the order of declaration, each once', () => {
    expect(appraised(() => ({})).findings.map(({ id }) => id)).toEqual(Object.keys(tpmChecks))
  })
})

describe('a home-made TPMS_ATTEST', () => {
  it('by a software key with all the right attributes fails where only its TPM could help (TPM-12, TPM-13)', () => {
    const forger = new SoftwareTpm({ ek })
    const { tpm, inputs } = healthyCase()
    const forged = { ...forger.evidence(nonce), ak: { publicArea: encodeSizedPublic(tpm.ak.area), certificate: null } }
    expect(failedOf(appraiseTpm(forged, inputs))).toEqual(['tpm.quote.signer', 'tpm.quote.signature'])
  })

  it('that is encoded with fields in place of one another does not parse', () => {
    const { tpm, evidence, inputs } = healthyCase()
    const attest = encode(attestLayout, tpm.attest(nonce))
    const moved = concatBytes(attest.slice(0, 6), attest.slice(42), attest.slice(6, 42))
    const appraisal = appraiseTpm({ ...evidence, quotes: [tpm.quote(moved, tpm.pcrs())] }, inputs)
    expect(appraisal.affirmed).toBe(false)
  })

  it('by a key whose point is that of another curve is refused', () => {
    const point = createECDH('secp256k1').generateKeys()
    const [x, y] = [new Uint8Array(point.subarray(1, 33)), new Uint8Array(point.subarray(33))]
    expect(failedOf(appraised(akWith(eccOnly((area) => ({ ...area, x, y })))))).toEqual(['tpm.ak.strength'])
  })
})
