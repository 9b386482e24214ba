import { Command, InvalidArgumentError, Option } from 'commander'
import { anchorOf, type TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { type Collateral, encodeCollateral, parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { endorserErrors } from '../../endorser/errors.ts'
import type { CollateralEvent } from '../../endorser/tdx/ports.ts'
import type { CollateralQuery } from '../../endorser/tdx/query.ts'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { type FetchPlan, fetchCollateral } from '../offline/fetch-collateral.ts'
import { type JudgedBundle, type JudgedItem, judgeBundle } from '../offline/judge-bundle.ts'
import { bundleDocument, itemDocument, renderBundle, renderJudgement } from '../presentation/collateral.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { platformOfQuote, type QuotePlatform } from '../quote-platform.ts'
import { openHost } from '../wiring/host.ts'
import { readCertificates } from '../wiring/trust-files.ts'
import { integerOption, timeOption } from './options.ts'

interface FetchOptions {
  readonly quote?: string
  readonly tee: 'tdx' | 'sgx'
  readonly fmspc?: string
  readonly ca?: 'platform' | 'processor'
  readonly update: 'standard' | 'early'
  readonly evaluationNumber?: number
  readonly file?: string[]
  readonly region?: string
  readonly vpc?: boolean
  readonly pccs?: string[]
  readonly insecure?: boolean
  readonly tlsCa?: string
  readonly trustAnchors?: string[]
  readonly output: string
  readonly json?: boolean
}

interface JudgeOptions {
  readonly at?: number
  readonly trustAnchors?: string[]
  readonly json?: boolean
}

const usage = (says: string) => agentErrors.error('USAGE', says)

/** Evidence with its logs, as `attestd evidence` writes it; a bundle is two documents and two lists. */
const largestEvidence = 64 << 20
const largestBundle = 16 << 20

function fmspcOption(text: string): string {
  if (!/^[0-9a-fA-F]{12}$/.test(text)) throw new InvalidArgumentError('must be 12 hexadecimal digits.')
  return text.toLowerCase()
}

async function platformIn({ quote, tee, fmspc, ca }: FetchOptions): Promise<QuotePlatform> {
  if (quote !== undefined) {
    if (fmspc !== undefined || ca !== undefined) throw usage('--quote names the platform; leave out --fmspc and --ca')
    const { tdx } = parseEvidenceDocument(await readInput(quote, largestEvidence))
    const platform = tdx && platformOfQuote(tdx.quote)
    if (platform) return platform
    throw usage(`${quote}: has no quote with its PCK certificate; give --fmspc and --ca instead`)
  }
  if (fmspc === undefined || ca === undefined) throw usage('give --quote, or --fmspc and --ca')
  return { tee, fmspc, ca }
}

function updateOf({ update, evaluationNumber }: FetchOptions): CollateralQuery['update'] {
  if (evaluationNumber === undefined) return update
  if (update === 'early') throw usage('--update and --evaluation-number exclude each other')
  return { evaluationNumber }
}

async function planOf(options: FetchOptions): Promise<FetchPlan> {
  const { file: files = [], region = null, vpc = false, pccs = [], insecure = false, tlsCa } = options
  if (vpc && region === null) throw usage('--vpc says nothing without --region')
  const authority = tlsCa === undefined ? null : new TextDecoder().decode(await readInput(tlsCa, 1 << 20))
  return { files, region, vpc, pccs, insecure, tlsCa: authority }
}

async function anchorsOf(files: readonly string[] | undefined): Promise<readonly TrustAnchor[]> {
  if (files === undefined) return intelSgxRootAnchors
  return (await readCertificates(files)).map((certificate) => anchorOf(certificate))
}

function reportTo(io: CommandIo): (event: CollateralEvent) => void {
  return (event) => {
    if (event.event === 'collateral_rollback') io.err(`rollback: ${event.source} serves an older ${event.item}\n`)
    if (event.event === 'collateral_source_failed') io.err(`failed: ${escaped(event.error.message)}\n`)
  }
}

async function write(bundle: Collateral, judged: JudgedBundle, options: FetchOptions, io: CommandIo): Promise<void> {
  const { output, json } = options
  if (output === '-') {
    io.out(encodeCollateral(bundle))
    return
  }
  const { random } = openHost()
  await writeAtomically(output, new TextEncoder().encode(encodeCollateral(bundle)), { mode: 0o644, random })
  if (json) io.out(`${JSON.stringify({ output, platform: judged.platform, items: judged.items.map(itemDocument) })}\n`)
  else io.out(renderBundle(bundle, judged, Date.now()))
}

async function runFetch(options: FetchOptions, io: CommandIo): Promise<void> {
  if (options.json && options.output === '-') throw usage('--json describes what was written to a file: give --output')
  const query = { ...(await platformIn(options)), update: updateOf(options) }
  const trustAnchors = await anchorsOf(options.trustAnchors)
  const report = options.json ? () => undefined : reportTo(io)
  const bundle = await fetchCollateral(query, await planOf(options), { host: openHost(), trustAnchors, report })
  await write(bundle, judgeBundle(bundle, { now: Date.now(), trustAnchors }), options, io)
}

function fetchCommand(io: CommandIo): Command {
  return new Command('fetch')
    .description('fetch all collateral of one platform, check every signature, and write it as one bundle')
    .option('--quote <file>', 'a quote, or evidence with one: its PCK certificate names FMSPC and CA')
    .addOption(new Option('--tee <tee>', 'what the platform runs').choices(['tdx', 'sgx']).default('tdx'))
    .addOption(new Option('--fmspc <hex>', 'the platform, 12 hexadecimal digits').argParser(fmspcOption))
    .addOption(new Option('--ca <kind>', 'who issued its PCK certificate').choices(['platform', 'processor']))
    .addOption(
      new Option('--update <set>', 'which TCB recoveries count').choices(['standard', 'early']).default('standard'),
    )
    .addOption(
      new Option('--evaluation-number <n>', 'the set of one TCB evaluation number instead').argParser(
        integerOption(0, 65_535),
      ),
    )
    .option('--file <path...>', 'take it from bundles, directories of them, or platform_collaterals.json')
    .option('--region <region>', 'ask the mirror of Alibaba Cloud in a region, such as cn-beijing')
    .option('--vpc', 'ask that mirror from inside the VPC')
    .option('--pccs <url...>', 'ask these servers, in order; default: Intel')
    .option('--insecure', 'allow plain http and unverified certificates, on this host and in the VPC only')
    .option('--tls-ca <file>', 'authority of the servers, PEM, in place of the well-known ones')
    .option('--trust-anchors <file...>', 'roots that must have signed, PEM or DER; default: that of Intel')
    .requiredOption('-o, --output <file>', 'where the bundle goes, - for standard output')
    .option('--json', 'print what was written as a JSON object')
    .action((options: FetchOptions) => runFetch(options, io))
}

async function judged(file: string, { at, trustAnchors }: JudgeOptions) {
  const bundle = parseCollateral(await readInput(file, largestBundle))
  const now = at ?? Date.now()
  return { now, bundle, judgement: judgeBundle(bundle, { now, trustAnchors: await anchorsOf(trustAnchors) }) }
}

function showCommand(io: CommandIo): Command {
  return new Command('show')
    .description('show what a bundle says: windows, numbers, TCB levels, revoked certificates; nothing is verified')
    .argument('<file>', 'the bundle, - for standard input')
    .option('--json', 'print it as a JSON object')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const { now, bundle, judgement } = await judged(file, {})
      if (!json) {
        io.out(renderBundle(bundle, judgement, now))
        return
      }
      const items = judgement.items.map((item) => {
        const { authentic: _, problem: __, period: ___, ...said } = itemDocument(item)
        return said
      })
      io.out(`${JSON.stringify({ ...bundleDocument(bundle, judgement.platform), items })}\n`)
    })
}

/** What is not authentic weighs more than what is merely old. */
function requireGood(items: readonly JudgedItem[]): void {
  const name = ({ kind, problem }: JudgedItem) => (problem === null ? kind : `${kind}: ${problem}`)
  const forged = items.filter(({ problem }) => problem !== null)
  if (forged.length > 0) throw endorserErrors.error('collateral_unauthentic', forged.map(name).join('; '))
  const early = items.filter(({ period }) => period === 'from-future')
  if (early.length > 0) throw endorserErrors.error('collateral_not_yet_valid', early.map(name).join(', '))
  const late = items.filter(({ period }) => period !== 'current')
  if (late.length > 0) throw endorserErrors.error('collateral_expired', late.map(name).join(', '))
}

function checkCommand(io: CommandIo): Command {
  return new Command('check')
    .description('check a bundle: exit 0 if every item is authentic and current, 76 if one is not authentic, else 75')
    .argument('<file>', 'the bundle, - for standard input')
    .addOption(new Option('--at <time>', 'when it has to be current; now if absent').argParser(timeOption))
    .option('--trust-anchors <file...>', 'roots that must have signed, PEM or DER; default: that of Intel')
    .option('--json', 'print the judgement as a JSON object')
    .action(async (file: string, options: JudgeOptions) => {
      const { now, judgement } = await judged(file, options)
      const { platform, items } = judgement
      if (options.json) io.out(`${JSON.stringify({ platform, items: items.map(itemDocument) })}\n`)
      else io.out(renderJudgement(judgement, now, io))
      requireGood(items)
    })
}

/** `attestd collateral`: what Intel says about platforms, fetched, shown and checked without an agent (TDX-222). */
export function collateralCommand(io: CommandIo): Command {
  return new Command('collateral')
    .description('TDX and SGX collateral: fetch it for machines without a network, show it, check it')
    .addCommand(fetchCommand(io))
    .addCommand(showCommand(io))
    .addCommand(checkCommand(io))
}
