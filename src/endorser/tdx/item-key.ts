import type { PckCa, Tee, UpdateSet } from './query.ts'

/** One item of collateral, as it is fetched, kept and replaced (TDX-210). */
export type ItemKey =
  | { readonly kind: 'tcb-info'; readonly tee: Tee; readonly fmspc: string; readonly update: UpdateSet }
  | { readonly kind: 'qe-identity'; readonly tee: Tee; readonly update: UpdateSet }
  | { readonly kind: 'pck-crl'; readonly ca: PckCa }
  | { readonly kind: 'root-crl' }

const setName = (update: UpdateSet): string =>
  typeof update === 'string' ? update : `number-${update.evaluationNumber}`

/**
 * The name of an item, unique per key: in logs, in the state and as the name of its file. Lower-case letters, digits
 * and hyphens only. The sources are no part of it: what is authentic is the same whoever serves it, and with the sources
 * in the name a change of configuration would forget what may not be rolled back (TDX-212).
 */
export function nameOfItem(key: ItemKey): string {
  switch (key.kind) {
    case 'tcb-info':
      return `${key.tee}-tcb-info-${key.fmspc}-${setName(key.update)}`
    case 'qe-identity':
      return `${key.tee}-qe-identity-${setName(key.update)}`
    case 'pck-crl':
      return `pck-crl-${key.ca}`
    case 'root-crl':
      return 'root-crl'
  }
}
