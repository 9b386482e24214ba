import { Command, InvalidArgumentError } from 'commander'
import type { JsonObject } from '../../base/json.ts'
import { clientErrors } from '../../client/errors.ts'
import { agentErrors } from '../errors.ts'
import {
  type ListedEnrolment,
  parseRegistryAnswer,
  registryAnswers,
  renderEnrolment,
  renderEnrolments,
  renderHistory,
} from '../presentation/registry.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { askAgentForObject } from '../socket-client.ts'
import { socketOption } from './options.ts'

interface RegistryOptions {
  readonly socket: string
  readonly json?: boolean
}

const route = '/v1/admin/registry'
const timeoutMs = 30_000

function get(socket: string, path: string): Promise<JsonObject> {
  return askAgentForObject({ socket, method: 'GET', path: `${route}${path}`, timeoutMs })
}

function post(socket: string, path: string, body: JsonObject): Promise<JsonObject> {
  return askAgentForObject({ socket, method: 'POST', path: `${route}${path}`, body, timeoutMs })
}

const wholeName = /^(?:[0-9a-f]{2}){22,66}$/

/** The first four digits name an algorithm and tell no keys apart. */
function beginningOfName(text: string): string {
  if (/^[0-9a-f]{8,132}$/.test(text)) return text
  throw new InvalidArgumentError('must be the name of a key, or its first 8 or more digits, in lower-case hexadecimal.')
}

function nameOfKey(text: string): string {
  if (wholeName.test(text)) return text
  throw new InvalidArgumentError('must be the whole name of a key in lower-case hexadecimal.')
}

async function readPage(socket: string, after: string) {
  return parseRegistryAnswer(registryAnswers.page, await get(socket, `?after=${after}`))
}

/** The whole name that begins so: names come in order, so it is first on the page behind its beginning. A whole one is itself. */
async function resolveName(socket: string, beginning: string): Promise<string> {
  const { enrolments } = await readPage(socket, beginning)
  const [first, second] = enrolments.filter(({ akName }) => akName.startsWith(beginning))
  if (first === undefined) return wholeName.test(beginning) ? beginning : absent(beginning)
  if (second === undefined) return first.akName
  throw agentErrors.error('USAGE', `${beginning} is the beginning of several names: give more digits`)
}

function absent(beginning: string): never {
  throw agentErrors.error('ENROLMENT_ABSENT', `no attestation key whose name begins with ${beginning} is enrolled`)
}

async function listAll(socket: string): Promise<ListedEnrolment[]> {
  const all: ListedEnrolment[] = []
  for (let after: string | null = ''; after !== null; ) {
    const { enrolments, next } = await readPage(socket, after)
    all.push(...enrolments)
    // A page that does not go on would be asked for again and again.
    if (next !== null && next <= after) throw clientErrors.error('AGENT_ANSWER', 'the pages of the registry do not end')
    after = next
  }
  return all
}

function subcommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(socketOption('admin'))
    .option('--json', 'print the answer as a JSON object')
}

function listCommand(io: CommandIo): Command {
  return subcommand('list', 'list all enrolments: state, trust, last seen, boot, identity').action(
    async ({ socket, json }: RegistryOptions) => {
      const enrolments = await listAll(socket)
      if (json) io.out(`${JSON.stringify({ enrolments })}\n`)
      else io.out(enrolments.length === 0 ? 'no TPM is enrolled\n' : renderEnrolments(enrolments, io))
    },
  )
}

function showCommand(io: CommandIo): Command {
  return subcommand('show', 'show one enrolment, and what became of its last appraisals')
    .argument('<ak>', 'name of the attestation key, or its first digits', beginningOfName)
    .action(async (beginning: string, { socket, json }: RegistryOptions) => {
      const answer = await get(socket, `/${await resolveName(socket, beginning)}`)
      const { enrolment, history } = parseRegistryAnswer(registryAnswers.history, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderEnrolment(enrolment, io) + renderHistory(history, io))
    })
}

const tokensText = (count: number) => `${count} ${count === 1 ? 'token is' : 'tokens are'} obtained anew\n`

function decisionCommand(io: CommandIo, decision: 'suspend' | 'resume' | 'revoke', description: string): Command {
  return subcommand(decision, description)
    .argument('<ak>', 'name of the attestation key, or its first digits', beginningOfName)
    .action(async (beginning: string, { socket, json }: RegistryOptions) => {
      const answer = await post(socket, `/${await resolveName(socket, beginning)}/${decision}`, {})
      const { enrolment, tokens } = parseRegistryAnswer(registryAnswers.decided, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderEnrolment(enrolment, io) + tokensText(tokens))
    })
}

function releaseCommand(io: CommandIo): Command {
  return subcommand(
    'release',
    'end all enrolments of a TPM and give its identity free, for the TPM of another instance',
  )
    .argument('<ek>', 'name of the endorsement key, as `show` gives it', nameOfKey)
    .action(async (ek: string, { socket, json }: RegistryOptions) => {
      const answer = await post(socket, '/release', { ek })
      const { released, tokens } = parseRegistryAnswer(registryAnswers.released, answer)
      if (released === 0) {
        throw agentErrors.error(
          'ENROLMENT_ABSENT',
          'this endorsement key has no enrolment that is not released already',
        )
      }
      const what = `released ${released} ${released === 1 ? 'enrolment' : 'enrolments'}; `
      io.out(json ? `${JSON.stringify(answer)}\n` : what + tokensText(tokens))
    })
}

/** `attestd registry`: what the bundled verifier remembers of TPMs, and what an operator decides about them (tpm.md section 10). */
export function registryCommand(io: CommandIo): Command {
  return new Command('registry')
    .description('enrolled TPMs: list them, show their history, suspend, resume, revoke, release')
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(decisionCommand(io, 'suspend', 'let an enrolment rest: no tokens until it is resumed'))
    .addCommand(decisionCommand(io, 'resume', 'make a suspended enrolment active again'))
    .addCommand(
      decisionCommand(io, 'revoke', 'end an attestation key for good, and block its TPM until it is released'),
    )
    .addCommand(releaseCommand(io))
}
