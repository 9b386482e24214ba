import { digestOf, type HashName, hashNameOf } from '../../src/evidence/tpm/algorithms.ts'
import {
  type CommandSession,
  encodeCommand,
  parseResponse,
  passwordSession,
  type TpmCommand,
} from '../../src/evidence/tpm/command-codec.ts'
import { capabilities, type TaggedDigest } from '../../src/evidence/tpm/command-structures.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'

export type TpmTransport = (command: Uint8Array) => Promise<Uint8Array>

/** Sends one command with empty passwords; a refusal is an error: simulations expect every command to work. */
export async function execute<Request extends object, Response>(
  send: TpmTransport,
  command: TpmCommand<Request, Response>,
  request: Request,
  sessions: readonly CommandSession[] = Array.from({ length: command.authorised }, () => passwordSession),
): Promise<Response> {
  const answer = parseResponse(command, await send(encodeCommand(command, request, sessions)))
  if (answer.outcome === 'refused') throw new Error(`${command.name} was refused: 0x${answer.rc.toString(16)}`)
  return answer.response
}

/** Banks that hold at least one PCR: extending any other succeeds and does nothing (NAT-56). */
export async function activeBanks(send: TpmTransport): Promise<HashName[]> {
  const { data } = await execute(send, tpm2.getCapability, { capability: capabilities.pcrs, property: 0, count: 1 })
  if (data.capability !== 'pcrs') throw new Error('the TPM answered another capability than asked for')
  return data.banks.flatMap(({ hash, pcrs }) => {
    const name = hashNameOf(hash)
    return name !== undefined && pcrs.length > 0 ? [name] : []
  })
}

/** Extends the digests of `bytes` into one PCR of every bank, in one command; gives the digests. */
export async function extendWith(
  send: TpmTransport,
  banks: readonly HashName[],
  pcr: number,
  bytes: Uint8Array,
): Promise<TaggedDigest[]> {
  const digests = banks.map((hash) => ({ hash, digest: digestOf(hash, bytes) }))
  await execute(send, tpm2.pcrExtend, { pcr, digests })
  return digests
}

export async function readPcr(send: TpmTransport, hash: number, pcr: number): Promise<Uint8Array> {
  const { values } = await execute(send, tpm2.pcrRead, { selection: [{ hash, pcrs: [pcr] }] })
  const [value] = values
  if (value === undefined) throw new Error(`PCR ${pcr} of bank 0x${hash.toString(16)} is not there`)
  return value
}
