import { stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { Task } from '../../base/tasks.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { type CollateralSource, createCollateralSource } from '../../endorser/tdx/collateral-source.ts'
import { createCollateralTransport } from '../../endorser/tdx/collateral-transport.ts'
import { createFileSource } from '../../endorser/tdx/file-source.ts'
import { alibabaMirror, intelPcs, isNearHost, type PccsBase, parsePccsBase } from '../../endorser/tdx/pccs-base.ts'
import { createPccsSource } from '../../endorser/tdx/pccs-source.ts'
import type { AuthenticateItem, CollateralEvent, ItemSource } from '../../endorser/tdx/ports.ts'
import { parseQcnl } from '../../endorser/tdx/qcnl.ts'
import { authenticateCollateralItem } from '../../verifier/tdx/authenticate-collateral-item.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { readInput } from '../input-file.ts'
import { platformOfQuote } from '../quote-platform.ts'
import { collateralFiles, openCollateralStore } from './collateral-store.ts'
import type { Host } from './host.ts'

/** What settings say of where collateral comes from, and of what it is judged by. */
export interface CollateralSettings {
  readonly configuration: {
    readonly collateral: Configuration['collateral']
    readonly verifier: Pick<Configuration['verifier'], 'collateral_grace'>
  }
  readonly tdRequirements: Pick<TdRequirements, 'trustAnchors'>
}

/** What Intel says about platforms: obtained, kept and renewed. */
export interface CollateralWiring extends AsyncDisposable {
  readonly source: CollateralSource
  readonly keepCurrent: Task
  /** Trust anchors and grace of these settings are in force from now on. */
  adopt(settings: CollateralSettings): void
  /** Collateral for the platform of `quote`; null for a quote that names none, which no verifier affirms. */
  collateralOf(quote: Uint8Array, signal: AbortSignal): Promise<Collateral | null>
  /** The same from memory alone; null too where somebody would be asked for it. */
  heldFor(quote: Uint8Array): Collateral | null
}

const longestQcnl = 16_384

/** TDX-225: what the machine's other DCAP programs are configured with, where nothing is said here. */
async function basesOfQcnl(path: string): Promise<{ base: PccsBase; verified: boolean }[]> {
  const found = await stat(path).catch(() => null)
  if (found === null) return []
  const { url, useSecureCertificate } = parseQcnl(await readInput(path, longestQcnl))
  if (url === null) return []
  return [{ base: parsePccsBase(url, { insecure: !useSecureCertificate }), verified: useSecureCertificate }]
}

/** A server of collateral as the configuration names it. Throws `collateral_source_invalid`. */
export function baseOf(url: string, allowHttpLoopback: boolean): { base: PccsBase; verified: boolean } {
  const insecure = allowHttpLoopback && URL.canParse(url) && isNearHost(new URL(url).hostname)
  return { base: parsePccsBase(url, { insecure }), verified: true }
}

async function basesOf({
  collateral,
}: CollateralSettings['configuration']): Promise<readonly { base: PccsBase; verified: boolean }[]> {
  const { region, vpc, pccs, allow_http_loopback, qcnl } = collateral
  const mirror = region === undefined ? [] : [{ base: alibabaMirror(region, vpc ? 'vpc' : 'public'), verified: true }]
  const named = [...mirror, ...pccs.map((url) => baseOf(url, allow_http_loopback))]
  if (named.length > 0) return named
  const shared = await basesOfQcnl(qcnl)
  return shared.length > 0 ? shared : [baseOf(intelPcs, false)]
}

/** In the order in which they are asked: files of the operator, then servers. */
async function sourcesOf(
  configuration: CollateralSettings['configuration'],
  { clock, random }: Host,
): Promise<readonly ItemSource[]> {
  const files = configuration.collateral.files.map((path) => createFileSource(path, collateralFiles))
  const servers = (await basesOf(configuration)).map(({ base, verified }) =>
    createPccsSource({ base, clock, random, transport: createCollateralTransport({ verifyCertificate: verified }) }),
  )
  return [...files, ...servers]
}

const severity: Readonly<Record<CollateralEvent['event'], 'info' | 'warn'>> = {
  collateral_obtained: 'info',
  collateral_raised: 'info',
  collateral_rollback: 'warn',
  collateral_source_failed: 'warn',
  collateral_refresh_failed: 'warn',
  collateral_store_failed: 'warn',
  collateral_stored_unusable: 'warn',
}

function report(event: CollateralEvent, log: Logger): void {
  const { event: name, item } = event
  const code = 'error' in event ? event.error.code : undefined
  const source = 'source' in event ? event.source : undefined
  const problem = 'problem' in event ? event.problem : undefined
  log[severity[name]]({ event: name, item, source, code, problem }, `${name.replaceAll('_', ' ')}: ${item}`)
}

export interface CollateralParts {
  readonly host: Host
  readonly log: Logger
  /** Hears when there is another TCB evaluation or revocation list than before (broker.md section 8). */
  readonly raised: () => void
}

/**
 * Opens the store; asks nobody yet. Throws `collateral_source_invalid`, `qcnl_invalid` and errors of the state directory.
 */
export async function wireCollateral(
  settings: CollateralSettings,
  stateDirectory: string,
  { host, log, raised }: CollateralParts,
): Promise<CollateralWiring> {
  const { configuration } = settings
  const { update } = configuration.collateral
  let inForce = settings
  const authenticate: AuthenticateItem = (item, { now }) => {
    const { trustAnchors = intelSgxRootAnchors } = inForce.tdRequirements
    return authenticateCollateralItem(item, { now, trustAnchors })
  }
  const sources = await sourcesOf(configuration, host)
  const store = await openCollateralStore(stateDirectory, host)
  const stop = new AbortController()
  const source = createCollateralSource({
    sources,
    authenticate,
    store,
    clock: host.clock,
    random: host.random,
    lifetime: stop.signal,
    report: (event) => {
      report(event, log)
      if (event.event === 'collateral_raised') raised()
    },
    graceMs: () => requireDuration(inForce.configuration.verifier.collateral_grace),
  })
  return {
    source,
    keepCurrent: source.keepCurrent,
    adopt: (changed) => {
      inForce = changed
    },
    collateralOf: async (quote, signal) => {
      const platform = platformOfQuote(quote)
      return platform === null ? null : source.collateralFor({ ...platform, update }, signal)
    },
    heldFor: (quote) => {
      const platform = platformOfQuote(quote)
      return platform === null ? null : source.heldFor({ ...platform, update })
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort(new Error('the agent stops'))
      await store[Symbol.asyncDispose]()
    },
  }
}
