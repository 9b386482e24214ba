import type { KeyObject } from 'node:crypto'
import { equalBytes } from '../../base/bytes.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import {
  nameOf,
  parseSizedPublic,
  qualifiedNameUnderHierarchy,
  qualifiedNameUnderParent,
  type TpmtPublic,
} from '../../evidence/tpm/public-area.ts'
import { akAttributesProblem, strongKeyOf } from './ak-key.ts'
import { attempt, judgeProblem, type TpmChecklist } from './each-quote.ts'
import type { AkParent, TpmInputs } from './inputs.ts'

/** The signing schemes that are verified here, with the hash that the key fixes. */
export interface SigningScheme {
  readonly algorithm: 'rsassa' | 'rsapss' | 'ecdsa'
  readonly hash: HashName
}

/** The attestation key of the evidence. `key` and `scheme` are null where their checks failed. */
export interface AttestationKey {
  readonly area: TpmtPublic
  /** Recomputed from the public area (TPM-12). */
  readonly name: Uint8Array
  readonly key: KeyObject | null
  readonly scheme: SigningScheme | null
}

function schemeOf(area: TpmtPublic): SigningScheme | null {
  const { scheme } = area
  if (area.type === 'ecc') return scheme.algorithm === 'ecdsa' ? scheme : null
  return scheme.algorithm === 'rsassa' || scheme.algorithm === 'rsapss' ? scheme : null
}

function judgeScheme(checklist: TpmChecklist, area: TpmtPublic): SigningScheme | null {
  const scheme = schemeOf(area)
  const named = () => `scheme '${area.scheme.algorithm}' is not one for quotes by a key of type ${area.type}`
  if (!checklist.judge('tpm.ak.scheme', scheme !== null, named) || scheme === null) return null
  checklist.judge('tpm.ak.schemeHash', scheme.hash !== 'sha1', () => 'the scheme hashes with SHA-1')
  return scheme
}

function judgeKnown(checklist: TpmChecklist, name: Uint8Array, { enrolment, requirements }: TpmInputs): void {
  const id = 'tpm.ak.known'
  if (enrolment !== null) {
    checklist.judge(id, equalBytes(name, enrolment.akName), () => 'its name is not the enrolled one')
  } else if (requirements.allowUnenrolled === true) checklist.waive(id, unenrolled)
  else checklist.fail(id, 'it is not enrolled')
}

/** The detail of every check that has nothing to compare with, because policy admits keys without an enrolment. */
export const unenrolled = 'requirements.allowUnenrolled is true, and the attestation key is not enrolled'

/** The detail of what cannot be compared, because of the enrolled key only its Name is known. */
export const unknownParent = 'enrolment.akParent is unknown'

/** Judges the public area of the attestation key and whether it is the enrolled one; null if it does not parse. */
export function judgeAttestationKey(
  checklist: TpmChecklist,
  publicArea: Uint8Array,
  inputs: TpmInputs,
): AttestationKey | null {
  const { value: area, problem } = attempt(() => parseSizedPublic(publicArea, 'ak.public'))
  if (area === null) {
    checklist.fail('tpm.ak.wellFormed', problem)
    return null
  }
  checklist.pass('tpm.ak.wellFormed')
  const strong = strongKeyOf(area)
  judgeProblem(checklist, 'tpm.ak.strength', strong.problem)
  judgeProblem(checklist, 'tpm.ak.attributes', akAttributesProblem(area))
  const name = nameOf(area)
  judgeKnown(checklist, name, inputs)
  return { area, name, key: strong.key, scheme: judgeScheme(checklist, area) }
}

/** The qualified name that a quote by this key carries (TPM-13). Throws `MalformedError` for an EK name that is none. */
export function qualifiedNameOf(name: Uint8Array, parent: Exclude<AkParent, { under: 'unknown' }>): Uint8Array {
  if (parent.under === 'hierarchy') return qualifiedNameUnderHierarchy(name, parent.hierarchy)
  return qualifiedNameUnderParent(qualifiedNameUnderHierarchy(parent.ekName, 'endorsement'), name)
}
