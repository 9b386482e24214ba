import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import {
  attestQuote,
  parseAttestHead,
  parseTpmAttest,
  type TpmAttest,
  tpmGenerated,
} from '../../evidence/tpm/attest.ts'
import type { TpmQuote } from '../../evidence/tpm/evidence.ts'
import { parseTpmSignature } from '../../evidence/tpm/signature.ts'
import { type AttestationKey, qualifiedNameOf, unenrolled, unknownParent } from './attestation-key.ts'
import { firmwareText, isUnderEndorsement } from './claims.ts'
import { countersOf, oneBootProblem, rollbackProblem } from './counters.ts'
import { allOf, attempt, type EachQuote, judgeEach, judgeProblem, parseEach, type TpmChecklist } from './each-quote.ts'
import type { PcrBankSelection, TpmInputs } from './inputs.ts'
import {
  askedProblem,
  digestProblem,
  mapProblem,
  mergedValues,
  namedSelection,
  type PcrValues,
  repeatedBankProblem,
  requiredPcrsProblem,
  selectionProblem,
  unmeasuredProblem,
  weakBankProblem,
} from './pcr-values.ts'
import { schemeProblem, signatureProblem } from './quote-signature.ts'

/** What the quotes of an evidence say, once every one of them parses. */
export interface JudgedQuotes {
  readonly attests: readonly TpmAttest[]
  /** All values, null unless they are those that the enrolled key signed for this nonce. */
  readonly values: PcrValues | null
}

/** TPM-19: what policy may lower, but never to nothing. */
const defaultMinimumLength = 8

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`

function kindProblem({ attest }: TpmQuote): string | null {
  const { value: head, problem } = attempt(() => parseAttestHead(attest))
  if (head === null) return problem
  if (head.magic !== tpmGenerated) return `magic is ${hex(head.magic, 8)}, must be ${hex(tpmGenerated, 8)}`
  return head.type === attestQuote ? null : `type is ${hex(head.type, 4)}, must be ${hex(attestQuote, 4)}`
}

function parseQuotedAttest({ attest: bytes }: TpmQuote): TpmAttest {
  const attest = parseTpmAttest(bytes)
  if (attest.safe > 1) throw new MalformedError({ path: 'attest.safe' }, `is ${attest.safe}, must be 0 or 1`)
  return attest
}

function readAttests(checklist: TpmChecklist, quotes: readonly TpmQuote[]): EachQuote<TpmAttest> {
  const ofKind = judgeEach(checklist, 'tpm.quote.kind', quotes, kindProblem)
  return parseEach(checklist, 'tpm.quote.wellFormed', ofKind, parseQuotedAttest)
}

function judgeNonce(
  checklist: TpmChecklist,
  attests: EachQuote<TpmAttest>,
  { qualifyingData, minimumLength = defaultMinimumLength }: TpmInputs['expected'],
): void {
  const least = Math.max(1, minimumLength)
  judgeEach(checklist, 'tpm.quote.nonceLength', attests, ({ extraData }) =>
    extraData.length < least ? `qualifying data of ${extraData.length} bytes, at least ${least} are required` : null,
  )
  judgeEach(checklist, 'tpm.quote.nonce', attests, ({ extraData }) =>
    equalBytes(extraData, qualifyingData) ? null : 'the qualifying data is not that of this request',
  )
}

/** Gives the signed selection of every quote; null for quotes whose selection no TPM would sign. */
function judgeSelections(
  checklist: TpmChecklist,
  attests: EachQuote<TpmAttest>,
  { expected, requirements }: TpmInputs,
): EachQuote<PcrBankSelection[]> {
  const sound = judgeEach(checklist, 'tpm.quote.selection', attests, ({ pcrSelect }) => selectionProblem(pcrSelect))
  const selections = sound.map((attest) => (attest === null ? null : namedSelection(attest.pcrSelect)))
  const asked = expected.selection
  if (asked === 'any') checklist.waive('tpm.quote.asked', 'expected.selection is any')
  const all = allOf(selections)
  if (all === null) return selections
  const signed = all.flat()
  if (asked !== 'any') judgeProblem(checklist, 'tpm.quote.asked', askedProblem(signed, asked))
  judgeProblem(checklist, 'tpm.quotes.banks', repeatedBankProblem(all))
  judgeProblem(checklist, 'tpm.pcrs.strongBank', weakBankProblem(signed))
  judgeProblem(checklist, 'tpm.pcrs.required', requiredPcrsProblem(signed, requirements))
  return selections
}

function judgeSigner(
  checklist: TpmChecklist,
  attests: EachQuote<TpmAttest>,
  key: AttestationKey | null,
  { enrolment, requirements }: TpmInputs,
): void {
  const id = 'tpm.quote.signer'
  if (enrolment === null) {
    if (requirements.allowUnenrolled === true) checklist.waive(id, unenrolled)
    return
  }
  const { akParent } = enrolment
  if (akParent.under === 'unknown') {
    checklist.waive(id, unknownParent)
    return
  }
  if (key === null) return
  const { value: expected, problem } = attempt(() => qualifiedNameOf(key.name, akParent))
  if (expected === null) {
    checklist.fail(id, `the enrolled EK ${problem}`)
    return
  }
  judgeEach(checklist, id, attests, ({ qualifiedSigner }) =>
    equalBytes(qualifiedSigner, expected)
      ? null
      : 'the qualified name is not that of this key under its enrolled parent',
  )
}

/** The signature covers the bytes as they are, so that it is judged whether or not they parse. */
function judgeSignatures(checklist: TpmChecklist, quotes: readonly TpmQuote[], judged: AttestationKey | null): void {
  const id = 'tpm.quote.signatureForm'
  const signatures = parseEach(checklist, id, quotes, ({ signature }) => parseTpmSignature(signature))
  if (judged === null || judged.scheme === null) return
  const { area, key, scheme } = judged
  const ofScheme = judgeEach(checklist, 'tpm.quote.scheme', signatures, (signature) => schemeProblem(signature, scheme))
  if (key === null) return
  judgeEach(checklist, 'tpm.quote.signature', ofScheme, (signature, index) =>
    signatureProblem({ area, key, scheme }, quotes[index]?.attest ?? new Uint8Array(), signature),
  )
}

function firmwareProblem(attest: TpmAttest, { enrolment, requirements }: TpmInputs): string | null {
  const accepted = requirements.firmwareVersions
  if (accepted === 'any') return null
  if (!isUnderEndorsement(enrolment)) {
    return 'requirements.firmwareVersions is set for a key outside of the endorsement hierarchy: its TPM hides the version'
  }
  return accepted.includes(attest.firmwareVersion) ? null : `firmware version ${firmwareText(attest)} is not accepted`
}

function judgeCounters(checklist: TpmChecklist, attests: EachQuote<TpmAttest>, inputs: TpmInputs): void {
  judgeEach(checklist, 'tpm.quote.firmware', attests, (attest) => firmwareProblem(attest, inputs))
  const { enrolment, requirements } = inputs
  const id = 'tpm.counters.rollback'
  if (enrolment === null && requirements.allowUnenrolled === true) checklist.waive(id, unenrolled)
  const all = allOf(attests)
  const first = all?.[0]
  if (!all || first === undefined) return
  judgeProblem(checklist, 'tpm.quotes.boot', oneBootProblem(all))
  if (enrolment === null) return
  const { counters } = enrolment
  if (counters !== null) judgeProblem(checklist, id, rollbackProblem(counters, countersOf(first)))
  else if (requirements.withoutMemory === true) checklist.waive(id, 'requirements.withoutMemory is true')
  else checklist.pass(id, 'the first quote of this key')
}

/** TPM-22, 23 and 28. Gives the values of all quotes, null unless every digest is right. */
function judgeValues(
  checklist: TpmChecklist,
  quotes: readonly TpmQuote[],
  attests: EachQuote<TpmAttest>,
  { selections, key }: { selections: EachQuote<PcrBankSelection[]>; key: AttestationKey | null },
): PcrValues | null {
  const named = selections.map((selection, index) => {
    const [quote, attest] = [quotes[index], attests[index]]
    return selection === null || !quote || !attest ? null : { selection, attest, pcrs: quote.pcrs }
  })
  const mapped = judgeEach(checklist, 'tpm.pcrs.map', named, ({ selection, pcrs }) => mapProblem(selection, pcrs))
  const scheme = key?.scheme
  if (!scheme) return null
  const right = judgeEach(checklist, 'tpm.pcrs.digest', mapped, ({ attest, pcrs }) =>
    digestProblem(attest, pcrs, scheme.hash),
  )
  judgeEach(checklist, 'tpm.pcrs.measured', right, ({ pcrs }) => unmeasuredProblem(pcrs))
  const all = allOf(right)
  return all === null ? null : mergedValues(all.map(({ pcrs }) => pcrs))
}

/** True once the values are what the known key signed for this request. */
function areProved(checklist: TpmChecklist): boolean {
  const known = ['passed', 'waived'].includes(checklist.outcome('tpm.ak.known'))
  return known && checklist.passed('tpm.quote.signature', 'tpm.quote.nonce', 'tpm.quotes.banks', 'tpm.pcrs.digest')
}

/** Judges everything about the quotes but the logs, cheap checks first (SVC-44); null if one of them does not parse. */
export function judgeQuotes(
  checklist: TpmChecklist,
  quotes: readonly TpmQuote[],
  key: AttestationKey | null,
  inputs: TpmInputs,
): JudgedQuotes | null {
  const attests = readAttests(checklist, quotes)
  judgeNonce(checklist, attests, inputs.expected)
  const selections = judgeSelections(checklist, attests, inputs)
  judgeSigner(checklist, attests, key, inputs)
  judgeCounters(checklist, attests, inputs)
  const values = judgeValues(checklist, quotes, attests, { selections, key })
  judgeSignatures(checklist, quotes, key)
  const all = allOf(attests)
  return all && { attests: all, values: areProved(checklist) ? values : null }
}
