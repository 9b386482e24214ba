import type { Checks } from '../../results/appraisal.ts'
import { tdxChecks } from '../tdx/checks.ts'
import { tpmChecks } from '../tpm/checks.ts'
import { compositeChecks } from './checks.ts'

/**
 * The checks of a guest, in the order in which they are listed: those of its parts, then those of their bond. Apart from
 * the code that makes them, for who only names them.
 */
export const guestChecks: Checks<string> = { ...tdxChecks, ...tpmChecks, ...compositeChecks }
