import type { ItemKey } from './item-key.ts'
import type { PccsBase } from './pccs-base.ts'
import type { Tee, UpdateSet } from './query.ts'

export type HexCase = 'lower' | 'upper'

function folderOf({ prefix, sgxVersion }: PccsBase, tee: Tee): string {
  return `${prefix}/${tee}/certification/v${tee === 'sgx' ? sgxVersion : 4}`
}

/** The standard set is what a server gives unasked; servers that do not know the parameter then serve it too. */
function setParameters(update: UpdateSet): Record<string, string> {
  if (typeof update === 'object') return { tcbEvaluationDataNumber: String(update.evaluationNumber) }
  return update === 'early' ? { update } : {}
}

function address(path: string, parameters: Record<string, string>): URL {
  const query = new URLSearchParams(parameters).toString()
  return new URL(query === '' ? path : `${path}?${query}`)
}

/** Where `base` serves the item `key` (tdx.md section 4.1). Parameters are in lower case, or the FMSPC in upper (TDX-204). */
export function addressOf(base: PccsBase, key: ItemKey, hexCase: HexCase): URL {
  switch (key.kind) {
    case 'tcb-info': {
      const fmspc = hexCase === 'upper' ? key.fmspc.toUpperCase() : key.fmspc
      return address(`${folderOf(base, key.tee)}/tcb`, { fmspc, ...setParameters(key.update) })
    }
    case 'qe-identity':
      return address(`${folderOf(base, key.tee)}/qe/identity`, setParameters(key.update))
    case 'pck-crl':
      return address(`${folderOf(base, 'sgx')}/pckcrl`, { ca: key.ca, encoding: 'der' })
    case 'root-crl':
      return new URL(base.rootCrl ?? `${folderOf(base, 'sgx')}/rootcacrl`)
  }
}
