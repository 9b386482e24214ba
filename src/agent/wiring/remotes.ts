import type { Logger } from 'pino'
import type { TdxAttester } from '../../attester/tdx/tdx-attester.ts'
import { parseJsonObject } from '../../base/json.ts'
import { createAlibabaSource } from '../../passport/remote/alibaba-source.ts'
import { createAttestationTransport } from '../../passport/remote/undici-transport.ts'
import type { TokenSource } from '../../passport/token-source.ts'
import type { JsonWebKeySet } from '../../relying-party/token-trust.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import { readInput } from '../input-file.ts'
import { planGuest } from './guest-plan.ts'
import type { Host } from './host.ts'
import { loggedSource } from './logged-source.ts'

type RemoteSection = Configuration['remotes'][number]

/** A remote verifier as it is configured, its pinned keys read. */
export interface RemoteSettings {
  readonly section: RemoteSection
  readonly jwks: JsonWebKeySet | null
}

const largestJwks = 1 << 18

async function readJwks({ jwks }: RemoteSection): Promise<JsonWebKeySet | null> {
  if (jwks === undefined) return null
  const { keys } = parseJsonObject(await readInput(jwks, largestJwks), jwks)
  return { keys: (Array.isArray(keys) ? keys : []) as JsonWebKeySet['keys'] }
}

/** Reads the key files of the remote verifiers. Throws `CONFIGURATION_INVALID`, `INPUT_UNREADABLE` or `MalformedError`. */
export async function readRemotes({ file, text, configuration }: LoadedConfiguration): Promise<RemoteSettings[]> {
  const { remotes } = configuration
  if (remotes.length > 0 && !planGuest(configuration).td) {
    throw invalidAt(file, text, ['remotes', 0, 'dialect'], 'speaks of TDs only, and this guest is none')
  }
  const names = remotes.map(({ name }) => name)
  const twice = names.findIndex((name, at) => names.indexOf(name) !== at)
  if (twice >= 0) throw invalidAt(file, text, ['remotes', twice, 'name'], 'is the name of another one')
  return Promise.all(remotes.map(async (section) => ({ section, jwks: await readJwks(section) })))
}

export interface RemoteParts {
  readonly host: Host
  readonly log: Logger
  readonly attester: TdxAttester
  /** Tokens about a simulated TD are taken, and say so. */
  readonly simulator: boolean
}

/** The remote verifiers as sources of tokens; nothing is asked of them yet. Throws for addresses that cannot be used. */
export function remoteSources(
  remotes: readonly RemoteSettings[],
  generation: number,
  { host, log, attester, simulator }: RemoteParts,
): TokenSource[] {
  return remotes.map(({ section, jwks }) => {
    const { name, issuer, endpoints, audience } = section
    const source = createAlibabaSource({
      ...{ name, generation, issuer, clock: host.clock, random: host.random },
      ...(audience === undefined ? {} : { audience }),
      ...(endpoints.length === 0 ? {} : { endpoints }),
      ...(jwks === null ? {} : { keys: { jwks } }),
      allowLoopbackHttp: section.allow_http_loopback,
      sendEventLog: section.send_event_log,
      allowDebug: section.allow_debug,
      allowSimulated: simulator,
      transport: createAttestationTransport(),
      collectTdx: (reportData, signal) => attester.collect(reportData, signal),
    })
    return loggedSource(source, log)
  })
}
