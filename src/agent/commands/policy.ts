import { Command } from 'commander'
import type { CommandIo } from '../presentation/terminal.ts'
import { policyCheckCommand, policyLintCommand } from './policy-check.ts'
import { policyDiffCommand } from './policy-diff.ts'
import { policyExplainCommand } from './policy-explain.ts'
import { policyFormatCommand } from './policy-format.ts'
import { policyHashCommand } from './policy-hash.ts'
import { policyInspectCommand } from './policy-inspect.ts'
import { policyNewCommand } from './policy-new.ts'
import { policyRunCommand } from './policy-run.ts'
import { policyShippedCommand } from './policy-shipped.ts'
import { policySignCommand } from './policy-sign.ts'
import { policyTestCommand } from './policy-test.ts'

/** `attestd policy`: what an owner of policies needs to write, test and ship them; nothing of it needs a network or an agent. */
export function policyCommand(io: CommandIo): Command {
  return new Command('policy')
    .description('appraisal policies: check, try, test, sign and compare them, all offline')
    .addCommand(policyNewCommand(io))
    .addCommand(policyShippedCommand(io))
    .addCommand(policyCheckCommand(io))
    .addCommand(policyLintCommand(io))
    .addCommand(policyExplainCommand(io))
    .addCommand(policyTestCommand(io))
    .addCommand(policyRunCommand(io))
    .addCommand(policyFormatCommand(io))
    .addCommand(policyDiffCommand(io))
    .addCommand(policyHashCommand(io))
    .addCommand(policySignCommand(io))
    .addCommand(policyInspectCommand(io))
}
