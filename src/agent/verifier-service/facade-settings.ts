import { createPrivateKey, X509Certificate } from 'node:crypto'
import { AttestdError } from '../../base/errors.ts'
import { requireServerTls } from '../../issuer/azure/azure-server.ts'
import { requireIssuerUrl } from '../../issuer/issuer-url.ts'
import { readProtected } from '../../platform/protected-file.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedFile } from '../configuration/read.ts'
import type { ServiceConfiguration } from '../configuration/service-schema.ts'
import { listenAddress } from '../wiring/issuing.ts'

/** The name of a façade in the section `azure`. */
export type FacadeName = 'attestation' | 'administration'

/** PEM of a server's key and certificate. */
export interface TlsFiles {
  readonly key: string
  readonly cert: string
}

/** Of those façades that are configured. */
export type FacadeTls = Readonly<Partial<Record<FacadeName, TlsFiles>>>

type Loaded = LoadedFile<ServiceConfiguration>

const names: readonly FacadeName[] = ['attestation', 'administration']
const largestPem = 1 << 18

/**
 * Checks of the façades what the schema cannot, and reads key and certificate of each. `issuerUrl` is the issuer of the
 * service. Throws `CONFIGURATION_INVALID` with file, line and key: nothing is served where a part of it could not be.
 */
export async function readFacades(loaded: Loaded, issuerUrl: string): Promise<FacadeTls> {
  requireUrls(loaded, issuerUrl)
  requireListeners(loaded)
  requireAdministrators(loaded)
  const tls: Partial<Record<FacadeName, TlsFiles>> = {}
  for (const name of names) {
    const facade = loaded.configuration.azure[name]
    if (facade !== undefined) tls[name] = await readTls(loaded, name, facade)
  }
  return tls
}

const refuseAt = ({ file, text }: Loaded, name: FacadeName, key: string, says: string) =>
  invalidAt(file, text, ['azure', name, key], says)

/** Two issuers of one name would have different keys under it: no relying party could tell whose token it holds. */
function requireUrls(loaded: Loaded, issuerUrl: string): void {
  const seen = new Set([issuerUrl])
  for (const name of names) {
    const url = loaded.configuration.azure[name]?.url
    if (url === undefined) continue
    try {
      requireIssuerUrl(url)
    } catch (error) {
      if (error instanceof AttestdError) throw refuseAt(loaded, name, 'url', `cannot be used: ${error.message}`)
      throw error
    }
    if (seen.has(url)) throw refuseAt(loaded, name, 'url', 'is the URL of another issuer of this file')
    seen.add(url)
  }
}

const everyHost = new Set(['0.0.0.0', '::'])

/** Whether no two servers can listen at both; port 0 is another one each time. */
function collide(one: string, other: string): boolean {
  const [a, b] = [listenAddress(one), listenAddress(other)]
  return a.port !== 0 && a.port === b.port && (a.host === b.host || everyHost.has(a.host) || everyHost.has(b.host))
}

function requireListeners(loaded: Loaded): void {
  const { service, azure } = loaded.configuration
  const taken = service.listen.startsWith('/') ? [] : [{ key: 'service.listen', listen: service.listen }]
  for (const name of names) {
    const listen = azure[name]?.listen
    if (listen === undefined) continue
    const other = taken.find((one) => collide(one.listen, listen))
    if (other !== undefined) throw refuseAt(loaded, name, 'listen', `is where ${other.key} already listens`)
    taken.push({ key: `azure.${name}.listen`, listen })
  }
}

/** The history of policies tells who did what by the name, which is known from the token. */
function requireAdministrators(loaded: Loaded): void {
  const { administrators = [] } = loaded.configuration.azure.administration ?? {}
  for (const key of ['name', 'token_sha256'] as const) {
    if (new Set(administrators.map((one) => one[key])).size === administrators.length) continue
    throw refuseAt(loaded, 'administration', 'administrators', `has the same ${key} twice`)
  }
}

async function readTls(
  loaded: Loaded,
  name: FacadeName,
  paths: { readonly certificate: string; readonly key: string },
): Promise<TlsFiles> {
  const read = (key: 'certificate' | 'key', forbidden: number) =>
    readPem(paths[key], forbidden, (says) => refuseAt(loaded, name, key, says))
  const tls = { cert: await read('certificate', 0o022), key: await read('key', 0o077) }
  const [key, says] = wrongIn(tls, paths) ?? []
  if (key !== undefined) throw refuseAt(loaded, name, key, says ?? '')
  return tls
}

async function readPem(path: string, forbidden: number, refuse: (says: string) => AttestdError): Promise<string> {
  try {
    const content = await readProtected(path, { maxBytes: largestPem, forbidden })
    if (content !== null) return new TextDecoder().decode(content)
  } catch (error) {
    if (error instanceof AttestdError) throw refuse(error.message)
    throw error
  }
  throw refuse(`${path} does not exist`)
}

/** What `make` gives; null where it throws, for what node:crypto throws has many kinds and may quote the key. */
function orNull<T>(make: () => T): T | null {
  try {
    return make()
  } catch {
    return null
  }
}

/** The key of the configuration that is to be corrected, and why; undefined: a server can be made of both files. */
function wrongIn(
  { cert, key }: TlsFiles,
  paths: { readonly certificate: string; readonly key: string },
): readonly ['certificate' | 'key', string] | undefined {
  const certificate = orNull(() => new X509Certificate(cert))
  if (certificate === null) return ['certificate', `${paths.certificate} holds no certificate in PEM`]
  const privateKey = orNull(() => createPrivateKey(key))
  if (privateKey === null) return ['key', `${paths.key} holds no private key in PEM that has no passphrase`]
  if (!certificate.checkPrivateKey(privateKey)) {
    return ['key', `${paths.key} is not the key of the first certificate in ${paths.certificate}`]
  }
  const served = orNull(() => requireServerTls({ cert, key }) ?? true)
  return served === null ? ['certificate', `${paths.certificate} cannot be used for TLS`] : undefined
}
