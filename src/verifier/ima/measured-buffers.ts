import { equalBytes, toHex, toLatin1 } from '../../base/bytes.ts'
import { signatureTypes } from '../../evidence/ima/ima-signature.ts'
import type { ImaDigest, ImaFields } from '../../evidence/ima/ima-template.ts'
import { digestOf, digestText, type HashName, isHashName } from '../../evidence/tpm/algorithms.ts'
import { digestsOf } from '../../reference-values/digest-set.ts'
import type { BufferReference } from '../../reference-values/reference-values.ts'
import type { ImaKeyRing } from './ima-key-ring.ts'

/**
 * What a measured buffer is worth (IMA-17). `unlisted`: nothing is listed for its name, which is not the same as an
 * empty list. `wrong-digest`: the digest in the record is not that of the buffer, so that the log is not what a kernel
 * wrote (F `ima_buf`). `not-verifiable`: the record has no buffer, or a digest of an algorithm that is not supported.
 */
export type BufferVerdict = 'allowed' | 'not-allowed' | 'unlisted' | 'wrong-digest' | 'not-verifiable'

export interface JudgedBuffer {
  /**
   * `key`: the name is that of a keyring, and the content is what was loaded into it. `file`: it is not allowed, and may
   * be the record of a file under the name of another template, which no digest covers.
   */
  readonly kind: 'key' | 'data' | 'file'
  readonly verdict: BufferVerdict
  /** SHA-256 of the content, lower-case hexadecimal, for lists; empty where the record has no buffer. */
  readonly sha256: string
}

/** Listed contents: name, one character a byte → algorithm → digests as `digestText` gives them. */
export type BufferLists = ReadonlyMap<string, ReadonlyMap<HashName, ReadonlySet<string>>>

/** Digests of algorithms that are not supported are left out: nothing matches them. */
export function prepareBufferLists(references: readonly BufferReference[]): BufferLists {
  const lists = new Map<string, Map<HashName, Set<string>>>()
  for (const { name, digests } of references) {
    const list = lists.get(name) ?? new Map<HashName, Set<string>>()
    lists.set(name, list)
    for (const { algorithm, digest } of digestsOf(digests)) {
      if (isHashName(algorithm)) list.set(algorithm, (list.get(algorithm) ?? new Set()).add(toLatin1(digest)))
    }
  }
  return lists
}

/** Keyrings of the kernel begin with a dot, but for the old ones of IMA and EVM. */
const isKeyringName = (name: string) => name.startsWith('.') || name === '_ima' || name === '_evm'

function digestProblem({ algorithm, digest }: ImaDigest, buffer: Uint8Array): BufferVerdict | null {
  if (!isHashName(algorithm)) return 'not-verifiable'
  return equalBytes(digestOf(algorithm, buffer), digest) ? null : 'wrong-digest'
}

/** First bytes of the attributes that the kernel logs as signatures, whatever comes behind them. */
const signatureStarts: ReadonlySet<number | undefined> = new Set(Object.values(signatureTypes))

/**
 * Names of buffers are words, and a path is that of a file: template `ima-sig` under the name `ima-buf` would take a file
 * off the allow-list whose signature has the same bytes as its content. Where the kernel cannot tell the path, in a file
 * system that was detached, it logs the bare name of such a file.
 */
const isPath = (name: string) => name.startsWith('/')
const mayBeFile = (name: string, buffer: Uint8Array) => isPath(name) || signatureStarts.has(buffer[0])

function judgeData(name: string, buffer: Uint8Array, lists: BufferLists): BufferVerdict {
  if (isPath(name)) return 'not-allowed'
  const list = lists.get(name)
  if (!list) return 'unlisted'
  const holds = [...list].some(([hash, digests]) => digests.has(digestText(hash, buffer)))
  return holds ? 'allowed' : 'not-allowed'
}

function judgeKey(keyring: string, sha256: string, buffer: Uint8Array, ring: ImaKeyRing): BufferVerdict {
  const listed = ring.isListed(keyring, sha256)
  if (listed === null) return 'unlisted'
  if (listed) ring.learn(keyring, buffer)
  return listed ? 'allowed' : 'not-allowed'
}

const unreadable: JudgedBuffer = { kind: 'file', verdict: 'not-verifiable', sha256: '' }

/**
 * Judges a record with a buffer (`ima-buf` and custom templates with `buf`): its digest must be that of the buffer; the
 * content loaded into a keyring must be listed for it by the SHA-256 of its DER, any other by its name (IMA-17). What may
 * be a file, and is on no list, is not allowed. A listed key is then usable for signatures of later records
 * (`ImaKeyRing.learn`), so that only records that a quote covers may be given. Never throws. A violation has no digest:
 * do not ask about its buffer (IMA-05).
 */
export function judgeMeasuredBuffer(fields: ImaFields, lists: BufferLists, ring: ImaKeyRing): JudgedBuffer {
  const { name, digest, buffer } = fields
  if (name === null || digest === null || buffer === null) return unreadable
  const text = toLatin1(name)
  const sha256 = toHex(digestOf('sha256', buffer))
  const isKey = !lists.has(text) && (isKeyringName(text) || ring.isListed(text, sha256) !== null)
  const kind = isKey ? 'key' : 'data'
  const problem = digestProblem(digest, buffer)
  if (problem !== null) return { kind: problem === 'not-verifiable' ? 'file' : kind, verdict: problem, sha256 }
  const verdict = isKey ? judgeKey(text, sha256, buffer, ring) : judgeData(text, buffer, lists)
  const isFile = verdict !== 'allowed' && mayBeFile(text, buffer)
  return isFile ? { kind: 'file', verdict: 'not-allowed', sha256 } : { kind, verdict, sha256 }
}
