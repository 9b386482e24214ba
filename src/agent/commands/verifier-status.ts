import type { Command } from 'commander'
import type { CommandIo } from '../presentation/terminal.ts'
import { parseVerifierAnswer, verifierAnswers } from '../presentation/verifier-answers.ts'
import { renderVerifierStatus } from '../presentation/verifier-status.ts'
import { askVerifierForObject } from '../verifier-socket.ts'
import { type AdministrationOptions, administrationCommand } from './verifier-options.ts'

/** `attestd verifier status`: what a running verifier serves, under which policies. */
export function verifierStatusCommand(io: CommandIo): Command {
  return administrationCommand('status', 'show what the running verifier serves, and under which policies').action(
    async ({ socket, json }: AdministrationOptions) => {
      const answer = await askVerifierForObject({ socket, method: 'GET', path: '/v1/admin/status' })
      const status = parseVerifierAnswer(verifierAnswers.status, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderVerifierStatus(status, io))
    },
  )
}
