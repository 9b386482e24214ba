import { Command } from 'commander'
import type { CommandIo } from '../presentation/terminal.ts'
import { askVerifierForObject } from '../verifier-socket.ts'
import { socketOption } from './options.ts'

interface PoliciesOptions {
  readonly socket: string
}

function listCommand(io: CommandIo): Command {
  return new Command('list')
    .description('list all policies, with what is active')
    .addOption(socketOption('verifier'))
    .option('--json', 'print the answer as a JSON object')
    .action(async ({ socket }: PoliciesOptions) => {
      const answer = await askVerifierForObject({ socket, method: 'GET', path: '/v1/admin/policies' })
      io.out(`${JSON.stringify(answer)}\n`)
    })
}

/** `attestd verifier policies`: the policies of a verifier service (POL-709). */
export function policiesCommand(io: CommandIo): Command {
  return new Command('policies').description('the policies of the verifier').addCommand(listCommand(io))
}
