import { Command, Option } from 'commander'
import {
  createTokenVerifier,
  type PresentedProof,
  proofChecks,
  type TokenAppraisal,
  tokenChecks,
} from '../../relying-party/index.ts'
import { type Tee, tees } from '../../results/acr.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import { renderFindings, renderVerdict } from '../presentation/findings.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { integerOption } from './options.ts'

interface VerifyOptions {
  readonly issuer: string
  readonly audience: string
  readonly tee: Tee[]
  readonly nonce?: string
  readonly subject?: string
  readonly maxAge?: number
  readonly measurement?: string[]
  readonly allowSimulated?: boolean
  readonly requireCommitment?: boolean
  readonly allowHttpLoopback?: boolean
  readonly dpop?: string
  readonly method: string
  readonly url?: string
  readonly dpopNonce?: string
  readonly json?: boolean
}

/** `tpm.pcr.7=<hex>`; the same name several times is a set of allowed values. */
function measurementsOf(pairs: readonly string[] | undefined): Record<string, string[]> | null {
  if (!pairs) return null
  const sets: Record<string, string[]> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw agentErrors.error('USAGE', `--measurement ${pair}: must be NAME=VALUE`)
    const name = pair.slice(0, at)
    sets[name] = [...(sets[name] ?? []), pair.slice(at + 1)]
  }
  return sets
}

async function tokenOf(argument: string): Promise<string> {
  if (argument !== '-') return argument
  return new TextDecoder().decode(await readInput('-', 1 << 20)).replace(/\n$/, '')
}

function possessionOf({ dpop, method, url, dpopNonce }: VerifyOptions): PresentedProof | undefined {
  if (dpop === undefined) return undefined
  if (url === undefined) throw agentErrors.error('USAGE', '--dpop needs --url: a proof is for one request')
  return { scheme: 'DPoP', proofs: [dpop], method, url, ...(dpopNonce === undefined ? {} : { nonces: [dpopNonce] }) }
}

function appraise(token: string, options: VerifyOptions): Promise<TokenAppraisal> {
  const { issuer, audience, tee, nonce, subject, maxAge } = options
  const possession = possessionOf(options)
  const verifier = createTokenVerifier({
    issuer,
    audience,
    tee,
    measurements: measurementsOf(options.measurement),
    keys: { discovery: { allowLoopbackHttp: options.allowHttpLoopback === true } },
    allowSimulated: options.allowSimulated === true,
    requireCommitment: options.requireCommitment === true,
    requirePossession: possession !== undefined,
    ...(maxAge === undefined ? {} : { maxTokenAgeS: maxAge }),
  })
  return verifier.appraise(token, {
    ...(nonce === undefined ? {} : { eatNonce: nonce }),
    ...(subject === undefined ? {} : { subject }),
    ...(possession === undefined ? {} : { possession }),
  })
}

function show(appraisal: TokenAppraisal, io: CommandIo, json: boolean): void {
  if (json) {
    io.out(`${JSON.stringify(appraisal)}\n`)
    return
  }
  io.out(renderFindings(appraisal.findings, tokenChecks, io))
  if (appraisal.proof) io.out(renderFindings(appraisal.proof.findings, proofChecks, io))
  io.out(renderVerdict(appraisal, io))
}

/** `attestd verify TOKEN`: what a relying party would do, check by check. */
export function verifyCommand(io: CommandIo): Command {
  return new Command('verify')
    .description('accept or refuse a token as a relying party would, check by check')
    .argument('<token>', 'the token, - for standard input')
    .requiredOption('--issuer <url>', 'the issuer that is trusted; its keys are found by discovery')
    .requiredOption('--audience <audience>', 'for whom the token must be')
    .addOption(new Option('--tee <kind...>', 'kinds of evidence that are good enough').choices(tees).default(['tpm']))
    .option('--nonce <nonce>', 'the nonce that the guest was asked to attest')
    .option('--subject <subject>', 'the subject that the token must have')
    .option(
      '--measurement <name=value...>',
      'reference values, such as tpm.pcr.7=HEX; several of one name are alternatives',
    )
    .addOption(new Option('--max-age <seconds>', 'greatest age of the token').argParser(integerOption(1, 86_400)))
    .option('--dpop <proof>', 'the proof of possession that came with the token (header DPoP); then it is demanded')
    .option('--method <method>', 'with --dpop: method of the request', 'GET')
    .option('--url <url>', 'with --dpop: URL of the request')
    .option('--dpop-nonce <nonce>', 'with --dpop: the nonce that the proof must have')
    .option('--require-commitment', 'refuse a token without proof that its quote committed to its request')
    .option('--allow-simulated', 'accept tokens of simulated hardware')
    .option('--allow-http-loopback', 'accept an http issuer on this machine, for trying things out')
    .option('--json', 'print findings and claims as a JSON object')
    .action(async (argument: string, options: VerifyOptions) => {
      const appraisal = await appraise(await tokenOf(argument), options)
      show(appraisal, io, options.json === true)
      if (!appraisal.affirmed) {
        const failed = appraisal.findings.find(({ outcome }) => outcome === 'failed')
        throw agentErrors.error('TOKEN_REFUSED', `${failed?.id ?? 'token'}: ${failed?.detail ?? 'refused'}`)
      }
    })
}
