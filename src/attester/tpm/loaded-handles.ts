import { capabilities, handleRanges } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { TpmDialogue } from './dialogue.ts'
import { requireConsistent } from './refusals.ts'

/** Handles a GetCapability is asked for at once; a TPM may give fewer and say that there are more. */
const pageSize = 254
const maximumPages = 8

/** All handles in use from `first` to `last`, ascending. The TPM is asked again as long as it says there are more. */
export async function listHandles(tpm: TpmDialogue, first: number, last: number): Promise<number[]> {
  const found: number[] = []
  let from = first
  for (let page = 0; page < maximumPages; page++) {
    const request = { capability: capabilities.handles, property: from, count: pageSize }
    const { data, moreData } = await tpm.execute(tpm2.getCapability, request)
    requireConsistent(data.capability === 'handles', tpm2.getCapability, 'another capability than asked for')
    if (data.capability !== 'handles') break
    found.push(...data.handles.filter((handle) => handle >= from && handle <= last))
    const end = data.handles.at(-1)
    if (!moreData || end === undefined || end < from || end >= last) break
    from = end + 1
  }
  return found
}

/** Every transient object and loaded session in the TPM, whoever made it. */
export async function listLoaded(tpm: TpmDialogue): Promise<ReadonlySet<number>> {
  const objects = await listHandles(tpm, handleRanges.transient, handleRanges.transient + 0xffffff)
  const sessions = await listHandles(tpm, handleRanges.loadedSession, handleRanges.savedSession + 0xffffff)
  return new Set([...objects, ...sessions])
}

/**
 * Flushes whatever is loaded and was not before. Only for a TPM without a resource manager that serves one
 * client at a time, as simulators do: there an answer that got lost may have left a key or session behind.
 */
export async function flushAllBut(tpm: TpmDialogue, before: ReadonlySet<number>): Promise<void> {
  for (const handle of await listLoaded(tpm)) {
    if (!before.has(handle)) await tpm.attempt(tpm2.flushContext, { flushed: handle })
  }
}
