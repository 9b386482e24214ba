import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MuAnswer, type MuLibrary, type MuStructure, muStructures, openMuLibrary } from '../../native/tss2-mu.ts'
import { AttestdError, MalformedError } from '../../src/base/errors.ts'
import { encode, type Layout, parsePrefix } from '../../src/base/layout.ts'
import { attestLayout } from '../../src/evidence/tpm/attest.ts'
import { commandSessionLayout, responseSessionLayout } from '../../src/evidence/tpm/command-codec.ts'
import * as structures from '../../src/evidence/tpm/command-structures.ts'
import { pcrSelectionList } from '../../src/evidence/tpm/pcr-selection.ts'
import { publicLayout, sizedPublicLayout } from '../../src/evidence/tpm/public-area.ts'
import { signatureLayout } from '../../src/evidence/tpm/signature.ts'
import { haveHeader, runProgram } from '../support/c-compiler.ts'
import { tpmStructures as values } from '../support/tpm-arbitraries.ts'

/**
 * Our layouts against libtss2-mu (NAT-211): what we write it reads to the same last byte and writes back alike;
 * and of damaged bytes both accept or refuse the same, except where a difference is listed here with its reason.
 */

function opened(): MuLibrary | null {
  try {
    return openMuLibrary()
  } catch (error) {
    if (error instanceof AttestdError) return null
    throw error
  }
}
const library = opened()

interface Case {
  // biome-ignore lint/suspicious/noExplicitAny: each row pairs a layout with values of its own type
  readonly layout: Layout<any>
  readonly value: fc.Arbitrary<unknown>
}

const cases: Readonly<Record<MuStructure, Case>> = {
  TPM2B_PUBLIC: { layout: sizedPublicLayout, value: values.publicArea },
  TPM2B_SENSITIVE_CREATE: { layout: structures.sensitiveCreate, value: values.sensitive },
  TPM2B_DATA: { layout: structures.dataBuffer, value: values.data },
  TPML_PCR_SELECTION: { layout: pcrSelectionList, value: values.pcrSelection },
  TPMT_SIG_SCHEME: { layout: structures.signatureScheme, value: values.signatureScheme },
  TPM2B_ATTEST: { layout: structures.attestBuffer, value: values.attestBuffer },
  TPMT_SIGNATURE: { layout: signatureLayout, value: values.signature },
  TPML_DIGEST: { layout: structures.digestList, value: values.digestList },
  TPM2B_ID_OBJECT: { layout: structures.idObjectBuffer, value: values.idObject },
  TPM2B_ENCRYPTED_SECRET: { layout: structures.encryptedSecretBuffer, value: values.encryptedSecret },
  TPM2B_NV_PUBLIC: { layout: structures.sizedNvPublic, value: values.nvPublic },
  TPM2B_PRIVATE: { layout: structures.privateBuffer, value: values.privateArea },
  TPM2B_CREATION_DATA: { layout: structures.creationData, value: values.creationData },
  TPMT_TK_CREATION: { layout: structures.creationTicket, value: values.creationTicket },
  TPMS_CAPABILITY_DATA: { layout: structures.capabilityData, value: values.capability },
  TPMT_PUBLIC: { layout: publicLayout, value: values.publicArea },
  TPMS_ATTEST: { layout: attestLayout, value: values.attest },
  TPML_DIGEST_VALUES: { layout: structures.digestValues, value: values.tagged },
  TPMS_CONTEXT: { layout: structures.contextLayout, value: values.context },
  TPMS_AUTH_COMMAND: { layout: commandSessionLayout, value: values.commandSession },
  TPMS_AUTH_RESPONSE: { layout: responseSessionLayout, value: values.responseSession },
}

type Ours =
  | { readonly accepted: true; readonly consumed: number }
  | { readonly accepted: false; readonly problem: string }

function ours(layout: Layout<unknown>, wire: Uint8Array): Ours {
  try {
    return { accepted: true, consumed: parsePrefix(layout, wire, 'value').size }
  } catch (error) {
    if (error instanceof MalformedError) return { accepted: false, problem: error.message }
    throw error
  }
}

/** Structures inside a TPM2B: 3.2.1 of the library neither holds them to its size nor reports their own errors. */
const wrapped = new Set<MuStructure>([
  'TPM2B_PUBLIC',
  'TPM2B_SENSITIVE_CREATE',
  'TPM2B_NV_PUBLIC',
  'TPM2B_CREATION_DATA',
])

/** An acceptance of a wrapped structure counts only where what was read is what its size field says. */
function sound(structure: MuStructure, bytes: Uint8Array, answer: MuAnswer): MuAnswer {
  if (!answer.accepted || !wrapped.has(structure)) return answer
  const size = 2 + new DataView(bytes.buffer, bytes.byteOffset).getUint16(0)
  return answer.consumed === size && size > 2 ? answer : { accepted: false, code: 0 }
}

/** What we refuse and they accept, by our message, with the reason. They refuse nothing that we accept. */
const stricter: readonly { readonly reason: string; readonly problem: RegExp }[] = [
  {
    reason: 'we know only the algorithms that we use',
    problem: /(?:algorithm|capability|curve|type) \S+ is not known/,
  },
  { reason: 'a ticket has the tag of its kind', problem: /value\.tag: is \S+, must be 0x8021/ },
  { reason: 'of attestations we take quotes only', problem: /value\.(?:magic|type): is \S+, must be/ },
]

let compared = 0

function compare(mine: Ours, theirs: MuAnswer): void {
  compared++
  if (mine.accepted) {
    expect(theirs).toMatchObject({ accepted: true, consumed: mine.consumed })
  } else if (theirs.accepted && !stricter.some(({ problem }) => problem.test(mine.problem))) {
    throw new Error(`only libtss2-mu accepts; we say: ${mine.problem}`)
  }
}

function damaged(wire: Uint8Array, seed: number): Uint8Array {
  const at = Math.floor(seed / 8) % wire.length
  if (seed % 8 === 0) return wire.slice(0, Math.max(1, at))
  if (seed % 8 === 1) return Uint8Array.from([...wire, ...wire.subarray(0, 1 + (at % 16))])
  const copy = Uint8Array.from(wire)
  copy[at] = (copy[at] ?? 0) ^ (1 << (seed % 8))
  return copy
}

describe.skipIf(library === null)('our layouts and libtss2-mu', () => {
  const valuesEach = 850
  const damagedEach = 5

  it.each(Object.keys(cases) as MuStructure[])('agree about %s', (structure) => {
    const { layout, value } = cases[structure]
    const mu = library as MuLibrary
    const check = (sample: unknown, seeds: readonly number[]) => {
      const wire = encode(layout, sample, structure)
      expect(mu.convert(structure, wire)).toEqual({ accepted: true, consumed: wire.length, marshalled: wire })
      expect(ours(layout, wire)).toEqual({ accepted: true, consumed: wire.length })
      compared++
      for (const seed of seeds) {
        const bytes = damaged(wire, seed)
        compare(ours(layout, bytes), sound(structure, bytes, mu.convert(structure, bytes)))
      }
    }
    const seeds = fc.array(fc.nat(), { minLength: damagedEach, maxLength: damagedEach })
    fc.assert(fc.property(value, seeds, check), { numRuns: valuesEach, seed: 1 })
  })

  it.each([
    ['TPM2B_ATTEST', 2304],
    ['TPM2B_ID_OBJECT', 132],
    ['TPM2B_ENCRYPTED_SECRET', 512],
    ['TPM2B_PRIVATE', 1550],
  ] as const)('agree that %s holds %i bytes and no more', (structure, most) => {
    for (const size of [0, most, most + 1]) {
      const wire = new Uint8Array(2 + size)
      new DataView(wire.buffer).setUint16(0, size)
      const mine = ours(cases[structure].layout, wire)
      expect(mine.accepted).toBe(size <= most)
      expect((library as MuLibrary).convert(structure, wire).accepted).toBe(mine.accepted)
    }
  })

  it('agreed in at least 100 000 cases', () => {
    expect(compared).toBeGreaterThanOrEqual(100_000)
  })
})

describe.skipIf(!haveHeader('tss2/tss2_tpm2_types.h'))('the sizes of the C structures (NAT-204)', () => {
  it('are those of the headers', () => {
    const lines = Object.keys(muStructures).map((name) => `printf("${name} %zu\\n", sizeof(${name}));`)
    const source = `#include <stdio.h>\n#include <tss2/tss2_tpm2_types.h>\nint main(void) { ${lines.join(' ')} return 0; }\n`
    const printed = Object.entries(muStructures).map(([name, size]) => `${name} ${size}\n`)
    expect(runProgram(source)).toBe(printed.join(''))
  })
})
