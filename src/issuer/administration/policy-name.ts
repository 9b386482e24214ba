import { azureTypes } from '../azure/azure-types.ts'
import { administrationErrors, invalidField } from './errors.ts'

/** POL-442. */
const idForm = /^id:[A-Za-z0-9._-]{1,128}$/

const isType = (slot: string): boolean => azureTypes.some((type) => slot === `type:${type}`)

/** What a policy is for: `id:NAME` (POL-442) or `type:` with a type of POL-901. Throws `ADMINISTRATION_REQUEST_INVALID`. */
export function requirePolicyName(slot: string, field = 'slot'): string {
  if (idForm.test(slot) || isType(slot)) return slot
  const says = `is neither id: with 1 to 128 letters, digits, dots, _ and -, nor type: with ${azureTypes.join(', ')}`
  throw invalidField(field, says)
}

/**
 * As `requirePolicyName`, for what is changed: an id stands for one text in every token, and those of the product stand
 * for what it ships. Throws `ADMINISTRATION_POLICY_RESERVED` besides.
 */
export function requireOwnPolicyName(slot: string): string {
  const id = requirePolicyName(slot).replace(/^id:/, '')
  if (id !== 'builtin' && id !== 'default' && !id.startsWith('attestd-')) return slot
  const says = `slot is ${slot}, a name of the product`
  throw administrationErrors.error('ADMINISTRATION_POLICY_RESERVED', says, { facts: { field: 'slot' } })
}

/**
 * As `requireOwnPolicyName`, for what is made active: a policy of the configuration is never replaced from the store, so that
 * one that is set under its id would decide nothing. Throws `ADMINISTRATION_POLICY_CONFIGURED` besides.
 */
export function requireSettablePolicyName(slot: string, configuredIds: readonly string[]): string {
  const own = requireOwnPolicyName(slot)
  if (!configuredIds.some((id) => own === `id:${id}`)) return own
  const says = `slot is ${own}, the id of a policy of the configuration`
  throw administrationErrors.error('ADMINISTRATION_POLICY_CONFIGURED', says, { facts: { field: 'slot' } })
}

/** A type has a policy without anybody setting one: the shipped default. */
export function hasShippedDefault(slot: string): boolean {
  return isType(slot)
}
