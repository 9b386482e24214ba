import { randomBytes } from 'node:crypto'
import { createTpmAttester, type TpmAttester, type TpmAttesterOptions } from '../../src/attester/tpm/tpm-attester.ts'
import type { TpmConnection } from '../../src/attester/tpm/tpm-connection.ts'
import { encodeCommand, parseResponse } from '../../src/evidence/tpm/command-codec.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { FakeClock } from './fake-clock.ts'

/** Keeps the attestation key as a file would. */
export class MemoryKeyStore {
  kept: Uint8Array | null = null
  load = async (): Promise<Uint8Array | null> => this.kept
  save = async (key: Uint8Array): Promise<void> => {
    this.kept = key
  }
}

export interface AttestingMachine {
  readonly attester: TpmAttester
  readonly store: MemoryKeyStore
}

/** An attester over a simulated TPM, with the store that the test may look into. */
export function attestingMachine(
  connection: TpmConnection,
  options: Partial<TpmAttesterOptions> & { readonly store?: MemoryKeyStore } = {},
): AttestingMachine {
  const { store = new MemoryKeyStore(), ...given } = options
  const attester = createTpmAttester({
    connect: async () => connection,
    keyStore: store,
    clock: new FakeClock(),
    random: (size) => new Uint8Array(randomBytes(size)),
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10],
    ...given,
  })
  return { attester, store }
}

/** Handles of transient objects and loaded sessions in a simulated TPM. */
export async function loadedHandles(send: (command: Uint8Array) => Promise<Uint8Array>): Promise<number[]> {
  const found: number[] = []
  for (const property of [0x80000000, 0x02000000]) {
    const command = encodeCommand(tpm2.getCapability, { capability: 1, property, count: 100 })
    const answer = parseResponse(tpm2.getCapability, await send(command))
    if (answer.outcome === 'refused' || answer.response.data.capability !== 'handles') throw new Error('no handles')
    found.push(...answer.response.data.handles)
  }
  return found
}
