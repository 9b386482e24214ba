import { createHash } from 'node:crypto'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { ImaBasis } from '../ima/judge-ima-log.ts'

/** What is asked of the content of an IMA log that a quote covers. What is reported only is in counts and lists. */
export interface ImaPolicy {
  /** Violations since the boot (IMA-14). */
  readonly maxViolations: number
  /** Files without reference value, changed ones too, where there are reference values of files (IMA-15). */
  readonly unlistedFiles: 'refuse' | 'report'
  /** `allow`: a valid signature by a listed key stands for the reference value of a file (IMA-18). */
  readonly signedFiles: 'allow' | 'report'
  /** Signatures are verified where there are keys (IMA-18). */
  readonly invalidSignatures: 'refuse' | 'report'
  /** Keys and buffers that are not on the list of their name (IMA-17). */
  readonly unlistedKeys: 'refuse' | 'report'
  /** Records whose content cannot be read (IMA-07); with reference values of files they count as not allowed besides. */
  readonly unknownTemplates: 'refuse' | 'report'
  /** IMA-20. */
  readonly kexec: 'allow' | 'refuse'
  /** `if-quoted` waives IMA-13 where the PCRs that it needs are not quoted; one that does not match fails always. */
  readonly bootAggregate: 'required' | 'if-quoted'
}

export const defaultImaPolicy: ImaPolicy = {
  maxViolations: 0,
  unlistedFiles: 'refuse',
  signedFiles: 'allow',
  invalidSignatures: 'refuse',
  unlistedKeys: 'refuse',
  unknownTemplates: 'report',
  kexec: 'allow',
  bootAggregate: 'if-quoted',
}

/** What the judgement of records rests on, of everything that an appraisal is given. */
export interface ImaBasisInputs {
  readonly requirements: {
    readonly imaPcr: number
    readonly acceptSha1Padded?: boolean
    readonly imaPolicy?: Partial<ImaPolicy>
  }
  readonly references?: TpmReferences | null | undefined
}

/** All values of policy, those that are left out by their default. */
export function imaPolicyOf({ requirements }: Pick<ImaBasisInputs, 'requirements'>): ImaPolicy {
  return { ...defaultImaPolicy, ...requirements.imaPolicy }
}

/**
 * The basis of an appraisal. Counts are carried from one appraisal to the next; `judgedBy` names everything that they
 * depend on, so that those of other reference values are never taken for those of these.
 */
export function imaBasisOf(inputs: ImaBasisInputs): ImaBasis {
  const { requirements, references = null } = inputs
  const { imaPcr: pcr, acceptSha1Padded = false } = requirements
  const signedFilesAllowed = imaPolicyOf(inputs).signedFiles === 'allow'
  const parts = [references?.ima ? references.id : 'no references', signedFilesAllowed ? 'signed' : 'listed']
  const judgedBy = createHash('sha256').update(parts.join('\n')).digest('hex')
  return { pcr, judgedBy, references: references?.ima ?? null, signedFilesAllowed, acceptSha1Padded }
}
