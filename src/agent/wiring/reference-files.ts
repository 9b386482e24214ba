import { randomInt } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import type { ReferenceDocument } from '../../reference-values/parse-reference-values.ts'
import { joinReferenceValues } from '../../reference-values/reference-collector.ts'
import { type TpmReferences, tpmReferences } from '../../reference-values/tpm-references.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import { readReferenceFile } from '../reference/documents.ts'

/** References, or the file that stands against them: the position in the list and what is wrong with it. */
export type ReadReferences =
  | { readonly references: TpmReferences }
  | { readonly position: number; readonly problem: string }

/** Longest documents that are read where they are asked for, in bytes: less than 20 ms. Longer ones get a thread. */
const longestHere = 64 << 10

/** Below 2³². */
const seed = () => [randomInt(2 ** 32), randomInt(2 ** 32)] as const

function problemOf(error: unknown): string {
  if (error instanceof MalformedError || error instanceof AttestdError) return error.message
  throw error
}

/** Reads documents of reference values one after another and joins them. A million files take some five seconds. */
export async function readReferenceFiles(files: readonly string[]): Promise<ReadReferences> {
  const documents: ReferenceDocument[] = []
  for (const [position, file] of files.entries()) {
    try {
      documents.push(await readReferenceFile(file))
    } catch (error) {
      return { position, problem: problemOf(error) }
    }
  }
  return { references: tpmReferences(joinReferenceValues(documents.map(({ values }) => values)), seed()) }
}

/** The same in a thread of its own, which ends with it; the tables are in shared memory, and are not copied. */
function readInThread(files: readonly string[]): Promise<ReadReferences> {
  const entry = new URL('./reference-worker.js', import.meta.url)
  return new Promise((resolve, reject) => {
    const worker = new Worker(entry, { name: 'reference-values', workerData: files })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the thread that reads reference values ended with ${code}`)))
  })
}

/** The sum of their sizes. A named pipe would be waited for, and with it every later reload. */
async function sizeOf(files: readonly string[]): Promise<number | Extract<ReadReferences, { problem: string }>> {
  let total = 0
  for (const [position, file] of files.entries()) {
    const found = await stat(file).catch((error: NodeJS.ErrnoException) => error.code)
    if (found === undefined || typeof found === 'string') return { position, problem: `${file}: ${found}` }
    if (!found.isFile()) return { position, problem: `${file}: is not a regular file` }
    total += found.size
  }
  return total
}

/**
 * What the configuration compares PCRs and measured files with (`verifier.references`); null where it names nothing.
 * Throws `CONFIGURATION_INVALID` with the file and what is wrong in which line of it.
 */
export async function readTpmReferences({
  file,
  text,
  configuration,
}: LoadedConfiguration): Promise<TpmReferences | null> {
  const { references: files } = configuration.verifier
  if (files.length === 0) return null
  const size = await sizeOf(files)
  const read =
    typeof size !== 'number' ? size : await (size > longestHere ? readInThread(files) : readReferenceFiles(files))
  if ('references' in read) return read.references
  throw invalidAt(file, text, ['verifier', 'references', read.position], read.problem)
}
