import { Command } from 'commander'
import type { CommandIo } from '../presentation/terminal.ts'
import { askVerifierForObject } from '../verifier-socket.ts'
import { socketOption } from './options.ts'

interface SignersOptions {
  readonly socket: string
}

function listCommand(io: CommandIo): Command {
  return new Command('list')
    .description('list who may sign policies, and who might once')
    .addOption(socketOption('verifier'))
    .option('--json', 'print the answer as a JSON object')
    .action(async ({ socket }: SignersOptions) => {
      const answer = await askVerifierForObject({ socket, method: 'GET', path: '/v1/admin/signers' })
      io.out(`${JSON.stringify(answer)}\n`)
    })
}

/** `attestd verifier signers`: who may sign policies (POL-704, POL-708). */
export function signersCommand(io: CommandIo): Command {
  return new Command('signers').description('who may sign policies').addCommand(listCommand(io))
}
