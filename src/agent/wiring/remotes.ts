import type { Logger } from 'pino'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import { parseJsonObject } from '../../base/json.ts'
import { createAlibabaSource } from '../../passport/remote/alibaba-source.ts'
import { requireEndpoints } from '../../passport/remote/endpoints.ts'
import { createAttestationTransport } from '../../passport/remote/undici-transport.ts'
import type { TokenSource } from '../../passport/token-source.ts'
import { parseKeySet } from '../../relying-party/public-keys.ts'
import type { JsonWebKeySet } from '../../relying-party/token-trust.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import { readInput } from '../input-file.ts'
import { planGuest } from './guest-plan.ts'
import type { Host } from './host.ts'
import { loggedSource } from './logged-source.ts'
import { requireFile } from './trust-files.ts'
import type { WatchedTd } from './watched-td.ts'

type RemoteSection = Configuration['remotes'][number]

/** A remote verifier as it is configured, its pinned keys read. */
export interface RemoteSettings {
  readonly section: RemoteSection
  readonly jwks: JsonWebKeySet | null
}

const largestJwks = 1 << 18

/** A set without a key that may verify would refuse every token: a wrong file is found here, and not then. */
async function readJwks({ jwks }: RemoteSection): Promise<JsonWebKeySet | null> {
  if (jwks === undefined) return null
  const document = parseJsonObject(await readInput(await requireFile(jwks), largestJwks), 'jwks')
  const { size, dropped } = parseKeySet(document)
  if (size > 0) return { keys: document['keys'] as JsonWebKeySet['keys'] }
  throw new MalformedError(
    { path: 'jwks.keys' },
    `holds no key that may be used: ${dropped[0]?.reason ?? 'it is empty'}`,
  )
}

/** What is refused for `key` of the remote verifier at `at`, with its line in the configuration. */
async function atKey<T>(
  { file, text }: LoadedConfiguration,
  [at, key]: readonly [number, keyof RemoteSection],
  read: () => Promise<T> | T,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    throw invalidAt(file, text, ['remotes', at, key], error.message)
  }
}

/** What a source would refuse when it is made: by then the configuration would count as accepted. */
async function readRemote(loaded: LoadedConfiguration, at: number, section: RemoteSection): Promise<RemoteSettings> {
  const { issuer, endpoints, allow_http_loopback: allowLoopbackHttp } = section
  await atKey(loaded, [at, 'issuer'], () => requireEndpoints([issuer], { allowLoopbackHttp }))
  await atKey(loaded, [at, 'endpoints'], () => {
    if (endpoints.length > 0) requireEndpoints(endpoints, { allowLoopbackHttp })
  })
  return { section, jwks: await atKey(loaded, [at, 'jwks'], () => readJwks(section)) }
}

/** Checks the remote verifiers and reads their key files. Throws `CONFIGURATION_INVALID`. */
export async function readRemotes(loaded: LoadedConfiguration): Promise<RemoteSettings[]> {
  const { file, text, configuration } = loaded
  const { remotes } = configuration
  if (remotes.length > 0 && !planGuest(configuration).td) {
    throw invalidAt(file, text, ['remotes', 0, 'dialect'], 'speaks of TDs only, and this guest is none')
  }
  const names = remotes.map(({ name }) => name)
  const twice = names.findIndex((name, at) => names.indexOf(name) !== at)
  if (twice >= 0) throw invalidAt(file, text, ['remotes', twice, 'name'], 'is the name of another one')
  return Promise.all(remotes.map((section, at) => readRemote(loaded, at, section)))
}

export interface RemoteParts {
  readonly host: Host
  readonly log: Logger
  readonly attester: Pick<WatchedTd, 'collect' | 'expectedWaitMs'>
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
      collectTdx: (reportData, signal, standing) => attester.collect(reportData, signal, standing),
      expectedWaitMs: (standing) => attester.expectedWaitMs(standing),
    })
    return loggedSource(source, log)
  })
}
