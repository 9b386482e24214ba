import { resolve } from 'node:path'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { createCollateralSource } from '../../endorser/tdx/collateral-source.ts'
import { createCollateralTransport } from '../../endorser/tdx/collateral-transport.ts'
import { createFileSource } from '../../endorser/tdx/file-source.ts'
import { alibabaMirror, intelPcs, isNearHost, type PccsBase, parsePccsBase } from '../../endorser/tdx/pccs-base.ts'
import { createPccsSource } from '../../endorser/tdx/pccs-source.ts'
import type { CollateralEvent, ItemSource } from '../../endorser/tdx/ports.ts'
import type { CollateralQuery } from '../../endorser/tdx/query.ts'
import { authenticateCollateralItem } from '../../verifier/tdx/authenticate-collateral-item.ts'
import { collateralFiles } from '../wiring/collateral-store.ts'
import type { Host } from '../wiring/host.ts'

/** Where an operator wants collateral from, in the order files, mirror, servers; Intel where nothing is named. */
export interface FetchPlan {
  readonly files: readonly string[]
  readonly region: string | null
  readonly vpc: boolean
  readonly pccs: readonly string[]
  /** Plain http and unverified certificates, to this host and hosts of the VPC. */
  readonly insecure: boolean
  /** PEM of the authority of a server with a private one; null: those of Node. */
  readonly tlsCa: string | null
}

function basesOf({ region, vpc, pccs, files, insecure }: FetchPlan): readonly PccsBase[] {
  const mirror = region === null ? [] : [alibabaMirror(region, vpc ? 'vpc' : 'public')]
  const named = [...mirror, ...pccs.map((url) => parsePccsBase(url, { insecure }))]
  return named.length + files.length > 0 ? named : [parsePccsBase(intelPcs)]
}

function transportFor(base: PccsBase, { insecure, tlsCa }: FetchPlan) {
  const verifyCertificate = !(insecure && isNearHost(new URL(base.prefix).hostname))
  return createCollateralTransport({ verifyCertificate, ...(tlsCa === null ? {} : { ca: tlsCa }) })
}

function sourcesOf(plan: FetchPlan, { clock, random }: Host): readonly ItemSource[] {
  const files = plan.files.map((path) => createFileSource(resolve(path), collateralFiles))
  const servers = basesOf(plan).map((base) =>
    createPccsSource({ base, clock, random, transport: transportFor(base, plan) }),
  )
  return [...files, ...servers]
}

/**
 * Fetches all collateral of one platform, each item authentic under `trustAnchors` and current. Nothing is kept.
 * Rejects with errors of `endorserErrors`.
 */
export async function fetchCollateral(
  query: CollateralQuery,
  plan: FetchPlan,
  context: {
    readonly host: Host
    readonly trustAnchors: readonly TrustAnchor[]
    readonly report: (event: CollateralEvent) => void
  },
): Promise<Collateral> {
  const { host, trustAnchors, report } = context
  const stop = new AbortController()
  const source = createCollateralSource({
    sources: sourcesOf(plan, host),
    authenticate: (item, { now }) => authenticateCollateralItem(item, { now, trustAnchors }),
    store: null,
    clock: host.clock,
    random: host.random,
    lifetime: stop.signal,
    report,
  })
  try {
    return await source.collateralFor(query, stop.signal)
  } finally {
    // One item that failed ends the command; what the others still wait for is given up.
    stop.abort(new Error('the command ends'))
  }
}
