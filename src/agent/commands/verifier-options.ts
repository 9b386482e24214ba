import { Command, InvalidArgumentError, Option } from 'commander'
import { azureTypes } from '../../issuer/azure/azure-types.ts'
import { agentErrors } from '../errors.ts'
import { socketOption } from './options.ts'

/** What every command of the administration has. */
export interface AdministrationOptions {
  readonly socket: string
  readonly json?: boolean
}

/** Of which policy a command speaks. */
export interface PolicyTarget {
  readonly id?: string
  readonly type?: string
}

/** A command that asks the administration socket of a verifier. */
export function administrationCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(socketOption('verifier'))
    .option('--json', 'print the answer as a JSON object')
}

/** POL-442. */
function policyId(text: string): string {
  if (/^[A-Za-z0-9._-]{1,128}$/.test(text)) return text
  throw new InvalidArgumentError('must be 1 to 128 letters, digits, dots, underscores and hyphens.')
}

/** A command about one policy. */
export function policyTargetCommand(name: string, description: string): Command {
  return administrationCommand(name, description)
    .addOption(new Option('--id <name>', 'the policy of this id').argParser(policyId))
    .addOption(new Option('--type <type>', 'the policy of this attestation type').choices(azureTypes))
}

/** How the administration names the policy that a command line names. Throws `USAGE` unless it names one. */
export function requireTarget({ id, type }: PolicyTarget): string {
  if (id !== undefined && type === undefined) return `id:${id}`
  if (type !== undefined && id === undefined) return `type:${type}`
  throw agentErrors.error('USAGE', 'name the policy by --id or by --type')
}
