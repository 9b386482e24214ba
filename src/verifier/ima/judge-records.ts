import { MalformedError } from '../../base/errors.ts'
import { FieldCursor } from '../../evidence/ima/field-cursor.ts'
import type { ImaCursor } from '../../evidence/ima/ima-cursor.ts'
import { kernelHashOf } from '../../evidence/ima/kernel-hashes.ts'
import { TemplateLookup } from '../../reference-values/template-table.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import { ImaKeyRing } from './ima-key-ring.ts'
import { type ImaBootAggregate, type ImaCountName, type ImaProgress, imaCountNames } from './ima-progress.ts'
import type { ImaRecordJudge } from './ima-run.ts'
import { type ImaSignatureVerdict, judgeImaSignature } from './ima-signatures.ts'
import { FileJudge, type FileVerdict } from './judge-files.ts'
import { type BufferLists, judgeMeasuredBuffer, prepareBufferLists } from './measured-buffers.ts'
import { type ImaNamedKind, NamedRecords } from './named-records.ts'

export interface ImaContentInputs {
  readonly log: Uint8Array
  /** Null: no file, key or buffer is compared with anything. */
  readonly references: ImaReferences | null
  /** A valid signature stands for an entry of the allow-list (IMA-18). */
  readonly signedFilesAllowed: boolean
  /** What the records before this part left behind; null at the start of a boot. */
  readonly before: Pick<ImaProgress, 'counts' | 'named' | 'keys' | 'bootAggregate'> | null
}

const bootAggregate = 'boot_aggregate'

const signatureCounts = {
  valid: 'signatureValid',
  invalid: 'signatureInvalid',
  'unknown-key': 'signatureUnknownKey',
  'not-verifiable': 'signatureNotVerifiable',
} as const

/** Where a verdict about a file is counted, and listed. */
const fileKinds = { unknown: 'unlisted', changed: 'changed' } as const

const noCounts = () => Object.fromEntries(imaCountNames.map((name) => [name, 0])) as Record<ImaCountName, number>

/**
 * Judges the content of records one after the other: templates, violations, files, signatures, keys and buffers (IMA-05,
 * IMA-07, IMA-12 to IMA-20). What it counts and lists means nothing until a quote covers the records. A record that no
 * rule has to look at costs no object.
 */
export class ContentJudge implements ImaRecordJudge {
  readonly counts: Record<ImaCountName, number>
  readonly named: NamedRecords
  readonly ring: ImaKeyRing
  /** Why the first record of the boot is no boot aggregate (IMA-12). */
  firstProblem: string | null = null
  /** The first record whose data has not the form of its template (IMA-07). */
  templateProblem: string | null = null
  /** The first buffer that is not what its record says (IMA-17). */
  bufferProblem: string | null = null
  bootAggregate: ImaBootAggregate | null
  #fields = new FieldCursor()
  #files: FileJudge | null
  #known: TemplateLookup | null
  #verifies: boolean
  #lists: BufferLists
  #inputs: ImaContentInputs

  constructor(inputs: ImaContentInputs) {
    const { log, references, before } = inputs
    this.#inputs = inputs
    this.counts = { ...noCounts(), ...before?.counts }
    this.named = new NamedRecords(before?.named)
    this.bootAggregate = before?.bootAggregate ?? null
    this.ring = new ImaKeyRing(references?.keys ?? [])
    for (const { keyring, der } of before?.keys ?? []) this.ring.learn(keyring, der)
    this.#verifies = (references?.keys.length ?? 0) > 0
    this.#lists = prepareBufferLists(references?.buffers ?? [])
    const files = references === null ? null : new FileJudge(references, log)
    this.#files = files?.hasFiles ? files : null
    this.#known = references?.templates === undefined ? null : new TemplateLookup(references.templates)
  }

  /** True where files are compared with reference values. */
  get judgesFiles(): boolean {
    return this.#files !== null
  }

  judge(cursor: ImaCursor, number: number, isViolation: boolean, isQuoted: boolean, sha256: Int32Array | null): void {
    if (number === 0) this.#judgeFirst(cursor, isViolation, isQuoted)
    else if (!isQuoted) this.counts.unquoted++
    else if (isViolation) this.#countViolation(cursor)
    else if (!this.#isKnown(cursor, sha256) && this.#read(cursor)) this.#judgeContent(cursor, number)
  }

  /** An allowed file without a signature: nothing of it is counted or listed, so that it need not be read. */
  #isKnown({ template }: ImaCursor, sha256: Int32Array | null): boolean {
    return sha256 !== null && this.#known?.has(template, sha256) === true
  }

  #judgeFirst(cursor: ImaCursor, isViolation: boolean, isQuoted: boolean): void {
    // Nothing covers it: it would be what anybody has written in front of the list.
    if (!isQuoted) this.firstProblem = `record 0 is of PCR ${cursor.pcr}, which is not quoted`
    else if (isViolation) this.firstProblem = 'record 0 is a violation'
    else if (this.#read(cursor)) {
      if (this.#isBootAggregate(cursor)) this.bootAggregate = this.#digest(cursor)
      else this.firstProblem = `record 0 is not ${bootAggregate}`
    } else this.firstProblem = 'record 0 cannot be read'
  }

  /** Reads the fields of the record; a record that has none is counted, and false. */
  #read(cursor: ImaCursor): boolean {
    try {
      if (this.#fields.read(cursor) === null) return true
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.templateProblem ??= error.message
      return false
    }
    this.counts.unknownTemplates++
    if (this.#files !== null) this.counts.unjudged++
    this.#name('unknown-template', cursor, cursor.templateAt, cursor.templateAt + cursor.template.length)
    return false
  }

  /** Nothing covers the data of a violation: its name may be any. */
  #countViolation(cursor: ImaCursor): void {
    this.counts.violations++
    const name = this.#unboundName(cursor)
    if (name === null) this.#name('violation', cursor, cursor.dataAt, cursor.end)
    else this.named.add('violation', name, 0, name.length)
  }

  #unboundName(cursor: ImaCursor): Uint8Array | null {
    try {
      return this.#fields.fieldsOf(cursor, true)?.name ?? null
    } catch (error) {
      if (error instanceof MalformedError) return null
      throw error
    }
  }

  #judgeContent(cursor: ImaCursor, number: number): void {
    const fields = this.#fields
    if (fields.bufferAt >= 0) {
      this.#judgeBuffer(cursor, number)
      return
    }
    if (fields.nameAt >= 0 && fields.digestAt >= 0) {
      if (this.#isBootAggregate(cursor) && this.#isKexec(cursor)) return
      this.#judgeFile(cursor)
      return
    }
    if (this.#files !== null) this.counts.unjudged++
    this.#name('unjudged', cursor, cursor.templateAt, cursor.templateAt + cursor.template.length)
  }

  #judgeFile(cursor: ImaCursor): void {
    const signature = this.#verifies ? this.#judgeSignature(cursor) : 'absent'
    if (this.#files === null) return
    const verdict = this.#files.judge(this.#fields)
    if (verdict !== 'allowed') this.#countFile(cursor, verdict, signature)
  }

  #countFile(cursor: ImaCursor, verdict: Exclude<FileVerdict, 'allowed'>, signature: ImaSignatureVerdict): void {
    if (signature === 'valid' && this.#inputs.signedFilesAllowed) return
    if (verdict === 'excluded') this.counts.excluded++
    else {
      this.counts[fileKinds[verdict]]++
      this.#nameOf(fileKinds[verdict], cursor)
    }
  }

  #judgeSignature(cursor: ImaCursor): ImaSignatureVerdict {
    const { signatureAt, signatureEnd } = this.#fields
    if (signatureAt >= 0 && signatureAt === signatureEnd) return 'absent'
    const fields = this.#fields.fieldsOf(cursor)
    const verdict = fields === null ? 'absent' : judgeImaSignature(fields, this.ring)
    if (verdict !== 'absent') this.counts[signatureCounts[verdict]]++
    if (verdict === 'invalid') this.#nameOf('signature-invalid', cursor)
    if (verdict === 'unknown-key') this.#nameOf('signature-unknown-key', cursor)
    return verdict
  }

  #judgeBuffer(cursor: ImaCursor, number: number): void {
    const fields = this.#fields.fieldsOf(cursor)
    if (fields === null) throw new TypeError('a record with a buffer that has no fields')
    const { kind, verdict } = judgeMeasuredBuffer(fields, this.#lists, this.ring)
    this.counts.buffers++
    if (kind === 'file' && this.#files !== null) this.counts.unjudged++
    if (verdict === 'wrong-digest') this.bufferProblem ??= `the digest of record ${number} is not that of its buffer`
    if (verdict === 'unlisted') {
      this.counts.buffersUnlisted++
      this.#nameOf('buffer-unlisted', cursor)
    }
    if (verdict !== 'not-allowed' && verdict !== 'not-verifiable') return
    this.counts.buffersNotAllowed++
    this.#nameOf('buffer-not-allowed', cursor)
  }

  #isBootAggregate({ bytes }: ImaCursor): boolean {
    const { nameAt, nameEnd } = this.#fields
    if (nameEnd - nameAt !== bootAggregate.length) return false
    for (let at = 0; at < bootAggregate.length; at++) {
      if (bytes[nameAt + at] !== bootAggregate.charCodeAt(at)) return false
    }
    return this.#fields.digestAt >= 0
  }

  /**
   * IMA-20. A further boot aggregate is no file if it is the first one again, which the PCRs of one boot give. With
   * another digest it is judged as a file: where a path cannot be told, the kernel logs the bare name of a file, and
   * anybody can choose this one.
   */
  #isKexec(cursor: ImaCursor): boolean {
    this.counts.kexec++
    const again = this.#digest(cursor)
    const first = this.bootAggregate
    return first !== null && first.algorithm === again.algorithm && Buffer.compare(first.digest, again.digest) === 0
  }

  #digest({ bytes }: ImaCursor): ImaBootAggregate {
    const { algorithm, digestAt } = this.#fields
    const size = kernelHashOf(algorithm)?.size ?? 0
    return { algorithm, digest: bytes.slice(digestAt, digestAt + size) }
  }

  #nameOf(kind: ImaNamedKind, cursor: ImaCursor): void {
    const { nameAt, nameEnd } = this.#fields
    this.#name(kind, cursor, Math.max(nameAt, 0), Math.max(nameEnd, 0))
  }

  #name(kind: ImaNamedKind, { bytes }: ImaCursor, start: number, end: number): void {
    this.named.add(kind, bytes, start, end)
  }
}
