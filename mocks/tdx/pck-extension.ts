import { extension } from './certificates.ts'
import { boolean, enumerated, integer, objectIdentifier, octetString, sequence } from './der.ts'
import type { SimulatedPlatform } from './platform.ts'

/** Intel's extension of PCK certificates (TDX-121). */
const sgxExtension = '1.2.840.113741.1.13.1'

/** Which authority issued a PCK certificate; the platform authority's have two members more. */
export type PckAuthority = 'platform' | 'processor'

const entry = (suffix: string, value: Uint8Array) => sequence(objectIdentifier(`${sgxExtension}.${suffix}`), value)
const bytes = (hex: string) => octetString(new Uint8Array(Buffer.from(hex, 'hex')))

/** The 16 octets of CPUSVN; here they are the components, as on real machines without a newer mapping. */
export const cpuSvnOf = ({ components }: SimulatedPlatform): Uint8Array => Uint8Array.from(components)

function tcbOf(platform: SimulatedPlatform): Uint8Array {
  return sequence(
    ...platform.components.map((svn, at) => entry(`2.${at + 1}`, integer(svn))),
    entry('2.17', integer(platform.pceSvn)),
    entry('2.18', octetString(cpuSvnOf(platform))),
  )
}

function platformMembers({ platformInstanceId }: SimulatedPlatform): Uint8Array[] {
  const configuration = ['7.1', '7.2', '7.3'].map((suffix) => entry(suffix, boolean(true)))
  return [entry('6', bytes(platformInstanceId)), entry('7', sequence(...configuration))]
}

/** The DER `Extension` of a PCK certificate; SGX type 1 (scalable) from the platform authority, else 0 (standard). */
export function pckExtension(platform: SimulatedPlatform, authority: PckAuthority): Uint8Array {
  const isPlatform = authority === 'platform'
  const members = sequence(
    entry('1', bytes(platform.ppid)),
    entry('2', tcbOf(platform)),
    entry('3', bytes(platform.pceId)),
    entry('4', bytes(platform.fmspc)),
    entry('5', enumerated(isPlatform ? 1 : 0)),
    ...(isPlatform ? platformMembers(platform) : []),
  )
  return extension(sgxExtension, false, members)
}
