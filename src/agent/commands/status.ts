import { Command } from 'commander'
import { tpmChecks } from '../../verifier/index.ts'
import { enrolmentChecks } from '../../verifier/tpm/enrolment-checks.ts'
import { agentErrors } from '../errors.ts'
import { parseStatus, renderStatus } from '../presentation/status.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { askAgentForObject } from '../socket-client.ts'
import { socketOption } from './options.ts'

/** `attestd status`: the state of the running agent; exit 0 if it is ready, 75 if not. */
export function statusCommand(io: CommandIo): Command {
  return new Command('status')
    .description('show the state of the running agent: ready or why not, TPM, keys, last appraisals, tokens')
    .addOption(socketOption('admin'))
    .option('--json', 'print the state as the agent gives it')
    .action(async ({ socket, json }: { socket: string; json?: boolean }) => {
      const answer = await askAgentForObject({ socket, method: 'GET', path: '/v1/admin/status', timeoutMs: 10_000 })
      const status = parseStatus(answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderStatus(status, { ...enrolmentChecks, ...tpmChecks }, io))
      if (!status.ready) throw agentErrors.error('AGENT_NOT_READY', status.reasons.join(', ') || 'it gives no reason')
    })
}
