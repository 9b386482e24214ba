import { open } from 'node:fs/promises'
import { MalformedError } from '../../base/errors.ts'
import { referenceFormat } from '../../reference-values/reference-line.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { TdxReferences } from '../../verifier/index.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import { readReferenceFiles } from '../wiring/reference-files.ts'
import { parseTdReferences, referenceLimits } from './td-references.ts'

/** What `--references` names: accepted measurements of a TD, and documents of reference values for a TPM. */
export interface OfflineReferences {
  readonly td: TdxReferences | null
  readonly tpm: TpmReferences | null
}

const headerBytes = 4096

/** A document says in its first line what it is; the measurements of a TD are one JSON object without such a member. */
async function isDocument(path: string): Promise<boolean> {
  if (path === '-') return false
  const file = await open(path).catch(() => null)
  if (file === null) return false
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(headerBytes), 0, headerBytes, 0)
    const [first = ''] = new TextDecoder('latin1').decode(buffer.subarray(0, bytesRead)).split('\n')
    return first.includes(`"${referenceFormat}"`)
  } catch {
    return false
  } finally {
    await file.close()
  }
}

async function readDocuments(files: readonly string[]): Promise<TpmReferences | null> {
  if (files.length === 0) return null
  const read = await readReferenceFiles(files)
  if ('references' in read) return read.references
  throw new MalformedError({ path: 'references' }, read.problem)
}

/** Reads what `--references` names, any number of documents and at most one file about TDs. Throws `MalformedError`, `INPUT_UNREADABLE` and `USAGE`. */
export async function readOfflineReferences(files: readonly string[]): Promise<OfflineReferences> {
  const kinds = await Promise.all(files.map(async (file) => ({ file, document: await isDocument(file) })))
  const documents = kinds.flatMap(({ file, document }) => (document ? [file] : []))
  const [td, ...more] = kinds.flatMap(({ file, document }) => (document ? [] : [file]))
  if (more.length > 0) throw agentErrors.error('USAGE', '--references names measurements of a TD more than once')
  return {
    td: td === undefined ? null : parseTdReferences(await readInput(td, referenceLimits.file + 1)),
    tpm: await readDocuments(documents),
  }
}
