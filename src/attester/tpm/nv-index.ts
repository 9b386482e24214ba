import { concatBytes, equalBytes } from '../../base/bytes.ts'
import { encode, u16be } from '../../base/layout.ts'
import { digestOf, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { capabilities, type NvPublic, nvPublicLayout, tpmProperties } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { hierarchies } from '../../evidence/tpm/public-area.ts'
import type { TpmDialogue } from './dialogue.ts'
import { refusalError, requireConsistent } from './refusals.ts'

/** Bit numbers of TPMA_NV (TPM 2.0 Part 2, section 13.4). */
const nvAttributes = { ownerRead: 17, authRead: 18, written: 29 } as const

function has({ attributes }: NvPublic, bit: number): boolean {
  return ((attributes >>> bit) & 1) === 1
}

/** A chunk of TPM2_NV_Read where the TPM does not tell its limit, and bounds on what it tells. */
const chunkSizes = { usual: 512, least: 32, most: 2048 } as const

/** The value of a property (TPM_PT), or null where the TPM does not have it. */
async function readProperty(tpm: TpmDialogue, property: number): Promise<number | null> {
  const request = { capability: capabilities.properties, property, count: 1 }
  const { data } = await tpm.execute(tpm2.getCapability, request)
  requireConsistent(data.capability === 'properties', tpm2.getCapability, 'another capability than asked for')
  const first = data.capability === 'properties' ? data.properties[0] : undefined
  return first?.property === property ? first.value : null
}

/**
 * Reads an NV index whole, in chunks that the TPM takes (NAT-57), with the empty password of the index or of the
 * owner, whichever its attributes allow. Gives null where there is no such index or nothing was written to it.
 */
export async function readNvIndex(tpm: TpmDialogue, index: number): Promise<Uint8Array | null> {
  const area = await readNvPublic(tpm, index)
  if (area === null || !has(area, nvAttributes.written)) return null
  const authority = has(area, nvAttributes.authRead) ? index : hierarchies.owner
  const told = (await readProperty(tpm, tpmProperties.maxNvBuffer)) ?? chunkSizes.usual
  const chunk = Math.min(Math.max(told, chunkSizes.least), chunkSizes.most)
  const parts: Uint8Array[] = []
  for (let offset = 0; offset < area.dataSize; offset += chunk) {
    const size = Math.min(chunk, area.dataSize - offset)
    const { data } = await tpm.execute(tpm2.nvRead, { authority, index, size, offset })
    requireConsistent(data.length === size, tpm2.nvRead, `gave ${data.length} bytes instead of ${size}`)
    parts.push(data)
  }
  return concatBytes(...parts)
}

async function readNvPublic(tpm: TpmDialogue, index: number): Promise<NvPublic | null> {
  const answer = await tpm.attempt(tpm2.nvReadPublic, { index })
  if (answer.outcome === 'refused') {
    if (answer.code.name === 'HANDLE') return null
    throw refusalError(answer.code, tpm.factsFor(tpm2.nvReadPublic))
  }
  const { nvPublic, name } = answer.response
  requireConsistent(nvPublic.index === index, tpm2.nvReadPublic, 'another index than asked for')
  requireConsistent(equalBytes(name, nameOfNvIndex(nvPublic)), tpm2.nvReadPublic, 'the name is not that of the index')
  return nvPublic
}

/** nameAlg and the digest of the public area, as for keys (NAT-54). */
function nameOfNvIndex(area: NvPublic): Uint8Array {
  const digest = digestOf(area.nameAlg, encode(nvPublicLayout, area))
  return concatBytes(encode(u16be, hashAlgorithms[area.nameAlg].id), digest)
}
