import { Command } from 'commander'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { acceptPolicy, parsePolicy } from '../../policies/index.ts'
import { agentErrors } from '../errors.ts'
import { readInput, tooLarge } from '../input-file.ts'
import { policyDifferences } from '../policy-tools/policy-differences.ts'
import { type PolicySource, readPolicySource } from '../policy-tools/policy-source.ts'
import { renderDiagnostics } from '../presentation/policy-check.ts'
import { renderPolicyDifferences } from '../presentation/policy-differences.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import {
  type ComparedPolicies,
  type ListedPolicy,
  parseVerifierAnswer,
  verifierAnswers,
} from '../presentation/verifier-answers.ts'
import {
  renderLineDifferences,
  renderOutcome,
  renderPolicies,
  renderPolicyHistory,
  renderReset,
  renderVersion,
  shownPolicyText,
} from '../presentation/verifier-policies.ts'
import { askVerifier, askVerifierForObject, diagnosedRefusal, readVerifierAnswer } from '../verifier-socket.ts'
import { integerOption } from './options.ts'
import {
  type AdministrationOptions,
  administrationCommand,
  type PolicyTarget,
  policyTargetCommand,
  requireTarget,
} from './verifier-options.ts'

type TargetOptions = AdministrationOptions & PolicyTarget

const route = '/v1/admin/policies'
/** Bytes that a verifier takes (POL-902). */
const largestUpload = 262_144
const versionNumber = integerOption(1, 999_999_999)

const get = (socket: string, path: string) => askVerifierForObject({ socket, method: 'GET', path: `${route}${path}` })
const post = (socket: string, path: string, body: JsonObject) =>
  askVerifierForObject({ socket, method: 'POST', path: `${route}${path}`, body })
const inPath = (options: PolicyTarget) => encodeURIComponent(requireTarget(options))
const shown = (answer: object) => `${JSON.stringify(answer)}\n`

async function listAll(socket: string): Promise<ListedPolicy[]> {
  const all: ListedPolicy[] = []
  for (let after = ''; ; ) {
    const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`
    const { policies, next } = parseVerifierAnswer(verifierAnswers.policies, await get(socket, query))
    all.push(...policies)
    if (next === null) return all
    // A page that does not go on would be asked for again and again.
    if (next <= after) throw agentErrors.error('VERIFIER_ANSWER', 'the pages of the policies do not end')
    after = next
  }
}

function listCommand(io: CommandIo): Command {
  return administrationCommand('list', 'list all policies that were ever set, with the active version').action(
    async ({ socket, json }: AdministrationOptions) => {
      const policies = await listAll(socket)
      io.out(json ? shown({ policies }) : renderPolicies(policies, io))
    },
  )
}

interface ShowOptions extends TargetOptions {
  readonly text?: boolean
}

async function activeVersion(options: ShowOptions): Promise<number> {
  const answer = await get(options.socket, `/${inPath(options)}`)
  const { slot, active } = parseVerifierAnswer(verifierAnswers.history, answer)
  if (active !== null) return active
  const remedy =
    'name the number of one that `attestd verifier policies history` lists; `attestd policy shipped` has the shipped defaults'
  throw agentErrors.error('POLICY_NOT_SET', `${slot} has no active version of its own`, { remedy })
}

function showCommand(io: CommandIo): Command {
  return policyTargetCommand('show', 'show a version of a policy: what is known of it, and its text')
    .argument('[number]', 'this version; default: the active one', versionNumber)
    .option('--text', 'the text alone, byte for byte where standard output is no terminal')
    .action(async (version: number | undefined, options: ShowOptions) => {
      const number = version ?? (await activeVersion(options))
      const answer = await get(options.socket, `/${inPath(options)}/versions/${number}`)
      const policy = parseVerifierAnswer(verifierAnswers.shown, answer)
      if (options.json) io.out(shown(answer))
      else io.out(`${options.text ? '' : `${renderVersion(policy)}\n`}${shownPolicyText(policy.text, io)}`)
    })
}

function historyCommand(io: CommandIo): Command {
  return policyTargetCommand('history', 'list the versions of a policy and when which was active, newest first')
    .option('--before <number>', 'versions before this one', versionNumber)
    .action(async (options: TargetOptions & { readonly before?: number }) => {
      const query = options.before === undefined ? '' : `?before=${options.before}`
      const answer = await get(options.socket, `/${inPath(options)}${query}`)
      const history = parseVerifierAnswer(verifierAnswers.history, answer)
      io.out(options.json ? shown(answer) : renderPolicyHistory(history, io))
    })
}

/** The text that an upload holds, for messages alone: the verifier judges what it is. */
function textOf({ file, bytes }: PolicySource): PolicySource {
  try {
    return { file, bytes: acceptPolicy(bytes, []).policy }
  } catch (error) {
    if (error instanceof AttestdError) return { file, bytes }
    throw error
  }
}

async function readUpload(path: string): Promise<PolicySource> {
  const source = await readPolicySource(path)
  if (source.bytes.length <= largestUpload) return source
  throw tooLarge(source.file, largestUpload)
}

function setCommand(io: CommandIo): Command {
  return policyTargetCommand('set', 'make a policy the active one, if it loads and is signed as the verifier asks for')
    .argument('<file>', 'the policy: its text, or a JWS of `attestd policy sign`; - for standard input')
    .action(async (file: string, options: TargetOptions) => {
      const path = `${route}/${inPath(options)}`
      const source = await readUpload(file)
      const upload = { bytes: source.bytes, mediaType: 'application/octet-stream' }
      const answer = await askVerifier({ socket: options.socket, method: 'PUT', path, upload })
      const refusal = diagnosedRefusal(answer)
      if (refusal !== null) {
        const refused = parseVerifierAnswer(verifierAnswers.refused, refusal)
        io.out(options.json ? shown(refused) : renderDiagnostics(refused.diagnostics, textOf(source), io))
      }
      showOutcome(readVerifierAnswer(answer), textOf(source), options, io)
    })
}

function showOutcome(answer: JsonObject, source: PolicySource, { json }: AdministrationOptions, io: CommandIo): void {
  const outcome = parseVerifierAnswer(verifierAnswers.outcome, answer)
  io.out(json ? shown(answer) : renderOutcome(outcome, source, io))
}

function restoreCommand(io: CommandIo): Command {
  return policyTargetCommand('restore', 'make a former version the active one again, by the rules of today')
    .argument('<number>', 'the version', versionNumber)
    .action(async (number: number, options: TargetOptions) => {
      const { socket } = options
      // For what the lint says of it; the verifier restores what it has.
      const former = await get(socket, `/${inPath(options)}/versions/${number}`)
      const { slot, text } = parseVerifierAnswer(verifierAnswers.shown, former)
      const answer = await post(socket, `/${inPath(options)}/restore`, { number })
      const source = { file: `${slot} version ${number}`, bytes: new TextEncoder().encode(text) }
      showOutcome(answer, source, options, io)
    })
}

function resetCommand(io: CommandIo): Command {
  return policyTargetCommand('reset', 'take the own policy out of use: for a type the shipped default decides then')
    .option('--jws <file>', 'a signed reset of `attestd policy sign --reset`: needed as long as signers are trusted')
    .action(async (options: TargetOptions & { readonly jws?: string }) => {
      const { jws: file, socket, json } = options
      const path = `/${inPath(options)}/reset`
      const jws = file === undefined ? null : new TextDecoder('latin1').decode(await readInput(file, largestUpload))
      const answer = await post(socket, path, jws === null ? {} : { jws })
      const { slot, changed } = parseVerifierAnswer(verifierAnswers.reset, answer)
      io.out(json ? shown(answer) : renderReset(slot, changed))
    })
}

/** One of the two texts of a comparison, which has every line of both. */
function sideOf({ slot, lines, ...versions }: ComparedPolicies, side: 'from' | 'to'): PolicySource {
  const other = side === 'from' ? 'added' : 'removed'
  const text = lines.flatMap(({ is, line }) => (is === other ? [] : [line])).join('\n')
  return { file: `${slot} version ${versions[side].number}`, bytes: new TextEncoder().encode(text) }
}

/** Rule by rule as `attestd policy diff`; line by line where this program does not read one of them any more. */
function renderComparison(compared: ComparedPolicies, byLines: boolean, io: CommandIo): string {
  const [before, after] = [sideOf(compared, 'from'), sideOf(compared, 'to')]
  const [old, now] = [parsePolicy(before.bytes).policy, parsePolicy(after.bytes).policy]
  if (byLines || old === undefined || now === undefined) return renderLineDifferences(compared, io)
  return renderPolicyDifferences(policyDifferences(old, now), { before, after }, io)
}

function compareCommand(io: CommandIo): Command {
  return policyTargetCommand('compare', 'show which rules two versions of a policy do not share')
    .argument('<from>', 'the one version', versionNumber)
    .argument('<to>', 'the other version', versionNumber)
    .option('--lines', 'compare the texts line by line')
    .action(async (from: number, to: number, options: TargetOptions & { readonly lines?: boolean }) => {
      const answer = await get(options.socket, `/${inPath(options)}/compare?from=${from}&to=${to}`)
      const compared = parseVerifierAnswer(verifierAnswers.compared, answer)
      io.out(options.json ? shown(answer) : renderComparison(compared, options.lines === true, io))
    })
}

/** `attestd verifier policies`: the policies of a verifier service, with all their versions (POL-709). */
export function policiesCommand(io: CommandIo): Command {
  return new Command('policies')
    .description('the policies of the verifier: list, show, set, compare, restore and reset them')
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(setCommand(io))
    .addCommand(historyCommand(io))
    .addCommand(compareCommand(io))
    .addCommand(restoreCommand(io))
    .addCommand(resetCommand(io))
}
