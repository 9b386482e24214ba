import { toHex } from '../../base/bytes.ts'
import type { GoldenPcrs } from '../../reference-values/reference-values.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { Checklist } from '../../results/checklist.ts'
import type { PcrValues } from './pcr-values.ts'
import type { TpmReferenceCheckId } from './reference-checks.ts'

const maximumShown = 8

/** One sentence a PCR that is not as the image has it. */
function differencesFrom({ banks }: GoldenPcrs, values: PcrValues): string[] {
  return banks.flatMap(({ hash, pcrs }) =>
    pcrs.flatMap(({ pcr, accepted }) => {
      const value = values.get(hash)?.get(pcr)
      const name = `${hash}:${pcr}`
      if (value === undefined) return [`${name} is not quoted`]
      const hex = toHex(value)
      return accepted.includes(hex) ? [] : [`${name} is ${hex}, expected ${accepted.join(' or ')}`]
    }),
  )
}

/** TPM-24: values of the SHA-1 bank can be made to order, so that they never carry an image alone. */
const isWeak = ({ banks }: GoldenPcrs) => banks.every(({ hash }) => hash === 'sha1')

function shown(differences: readonly string[]): string {
  const more = differences.length - maximumShown
  return [...differences.slice(0, maximumShown), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

interface Compared {
  readonly golden: GoldenPcrs
  readonly differences: readonly string[]
}

function nearest(compared: readonly Compared[]): Compared | undefined {
  return compared.toSorted((left, right) => left.differences.length - right.differences.length)[0]
}

/**
 * Compares the values with every golden image: all PCRs that one of them names have to be as it says, in all its banks;
 * PCRs of different images never add up to one. Gives the name of the image, for the claim `tpm.image`; null where none
 * matches, none is configured (which waives the check), or the values are not proved (`null`, unreached).
 */
export function judgePcrReferences(
  checklist: Pick<Checklist<TpmReferenceCheckId>, 'pass' | 'fail' | 'waive'>,
  values: PcrValues | null,
  references: TpmReferences | null,
): string | null {
  const id = 'tpm.references.pcrs'
  const golden = references?.pcrs ?? []
  if (golden.length === 0) {
    checklist.waive(id, 'inputs.references names no golden PCRs')
    return null
  }
  if (values === null) return null
  const compared = golden.map((each) => ({ golden: each, differences: differencesFrom(each, values) }))
  const found = compared.find((each) => each.differences.length === 0 && !isWeak(each.golden))
  if (found !== undefined) {
    checklist.pass(id, `image ${found.golden.image}`)
    return found.golden.image
  }
  const near = nearest(compared.filter((each) => each.differences.length > 0))
  if (near === undefined) checklist.fail(id, 'only images whose PCRs are given in the SHA-1 bank alone match')
  else checklist.fail(id, `nearest of ${golden.length} images is ${near.golden.image}: ${shown(near.differences)}`)
  return null
}
