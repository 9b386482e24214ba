import { Command } from 'commander'
import { agentErrors } from '../errors.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { policiesCommand } from './verifier-policies.ts'
import type { VerifierRunOptions } from './verifier-run.ts'
import { signersCommand } from './verifier-signers.ts'
import { verifierStatusCommand } from './verifier-status.ts'

/** `attestd verifier`: the verifier as a service of its own, and its administration on its machine. */
export function verifierCommand(io: CommandIo): Command {
  return new Command('verifier')
    .description('run the verifier service; administer its policies, and who may sign them')
    .option('--config <file>', 'configuration file', '/etc/attestd-verifier/verifier.toml')
    .option('--allow-root', 'run although the user is root')
    .action(async (options: VerifierRunOptions, command: Command) => {
      if (command.args.length > 0) throw agentErrors.error('USAGE', `unexpected argument ${command.args[0]}`)
      const { runVerifier } = await import('./verifier-run.ts')
      await runVerifier(options)
    })
    .addCommand(verifierStatusCommand(io))
    .addCommand(policiesCommand(io))
    .addCommand(signersCommand(io))
}
