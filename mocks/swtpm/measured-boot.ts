import { concatBytes } from '../../src/base/bytes.ts'
import { encode, sizedBytes, u8, u16le, u32le } from '../../src/base/layout.ts'
import { type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import type { TaggedDigest } from '../../src/evidence/tpm/command-structures.ts'
import { activeBanks, extendWith, type TpmTransport } from './execute.ts'
import { type MeasuredEvent, measuredEvents, type SimulatedBoot } from './measured-events.ts'

/** `{pcr, type, count, {algorithm, digest}…, size, data}`, little endian. */
function encodeEvent({ pcr, type, data }: MeasuredEvent, digests: readonly TaggedDigest[]): Uint8Array {
  return concatBytes(
    encode(u32le, pcr),
    encode(u32le, type),
    encode(u32le, digests.length),
    ...digests.flatMap(({ hash, digest }) => [encode(u16le, hashAlgorithms[hash].id), digest]),
    encode(sizedBytes(u32le), data),
  )
}

/** The first entry, in the old form: it declares the algorithms of all that follow. */
function encodeHeader(banks: readonly HashName[]): Uint8Array {
  const data = concatBytes(
    new TextEncoder().encode('Spec ID Event03\0'),
    encode(u32le, 0),
    ...[0, 2, 0, 2].map((value) => encode(u8, value)),
    encode(u32le, banks.length),
    ...banks.flatMap((hash) => [encode(u16le, hashAlgorithms[hash].id), encode(u16le, hashAlgorithms[hash].size)]),
    encode(u8, 0),
  )
  return concatBytes(encode(u32le, 0), encode(u32le, 3), new Uint8Array(20), encode(sizedBytes(u32le), data))
}

/**
 * Plays a firmware: extends every active bank of the TPM with a simulated measured boot (PCR 0 to 9 and 14), and
 * gives the bytes that `binary_bios_measurements` would hold. To be called once after each start of the TPM.
 */
export async function simulateFirmware(
  send: TpmTransport,
  boot: SimulatedBoot = {},
): Promise<{ readonly eventLog: Uint8Array }> {
  const banks = await activeBanks(send)
  const entries = [encodeHeader(banks)]
  for (const event of measuredEvents(boot)) {
    const digests = await extendWith(send, banks, event.pcr, event.measured)
    entries.push(encodeEvent(event, digests))
  }
  return { eventLog: concatBytes(...entries) }
}
