import { Command } from 'commander'
import type { CommandIo } from '../presentation/terminal.ts'
import { policiesCommand } from './verifier-policies.ts'
import { signersCommand } from './verifier-signers.ts'

/** `attestd verifier`: the verifier as a service of its own, and its administration on its machine. */
export function verifierCommand(io: CommandIo): Command {
  return new Command('verifier')
    .description('the verifier service: its policies, and who may sign them')
    .addCommand(policiesCommand(io))
    .addCommand(signersCommand(io))
}
