import { isAbsolute } from 'node:path'
import { storeErrors } from './store-errors.ts'

/** How PostgreSQL understands `sslmode`; `allow` and `prefer` are not taken, for they protect nothing. */
export interface PostgresTls {
  /** `require`: encrypted; who is at the other end is not checked, unless there is a root certificate. */
  readonly mode: 'require' | 'verify-ca' | 'verify-full'
  /** Path of certificates in PEM; `system`: those that Node brings; null: none is compared. */
  readonly root: string | null
  /** Paths of our own certificate and its key in PEM. */
  readonly own: { readonly certificate: string; readonly key: string } | null
}

export interface PostgresAddress {
  /** Host name, IP address, or the absolute path of the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** A secret. */
  readonly password: string | null
  readonly database: string
  /** Null: not encrypted; always so on a Unix socket. */
  readonly tls: PostgresTls | null
  /** For logs and errors: without the password. */
  readonly place: string
}

const form =
  /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?(\[[0-9a-f:.]+\]|[^:/?#[\]@,]*)(?::(\d{1,5}))?\/([^/?#]*)(?:\?([^#]*))?$/i
const known = new Set(['host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'])
const longestUrl = 4096

/** Says what is wrong in words of ours: the URL, a part of it or the error of a parser may hold the password. */
function refuse(says: string): Error {
  return storeErrors.error('registry_address', says)
}

function decoded(part: string, what: string): string {
  try {
    const text = decodeURIComponent(part)
    if (!text.includes('\0')) return text
  } catch (error) {
    if (!(error instanceof URIError)) throw error
  }
  throw refuse(`${what} is not percent-encoded UTF-8`)
}

function parametersIn(query: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const pair of query.split('&').filter((text) => text !== '')) {
    const [name = '', value = '', more] = pair.split('=')
    if (!known.has(name)) throw refuse(`a parameter is not among ${[...known].join(', ')}`)
    if (found.has(name) || more !== undefined) throw refuse(`the parameter ${name} is there twice, or has two values`)
    found.set(name, decoded(value, `the parameter ${name}`))
  }
  return found
}

function ownIn(parameters: ReadonlyMap<string, string>): PostgresTls['own'] {
  const [certificate, key] = [parameters.get('sslcert'), parameters.get('sslkey')]
  if (certificate === undefined && key === undefined) return null
  if (certificate !== undefined && key !== undefined) return { certificate, key }
  throw refuse('sslcert and sslkey are there together or not at all')
}

function tlsIn(parameters: ReadonlyMap<string, string>): PostgresTls | null {
  const [named, root = null] = [parameters.get('sslmode'), parameters.get('sslrootcert')]
  if (named === 'disable') return null
  if (named !== 'require' && named !== 'verify-ca' && named !== 'verify-full') {
    throw refuse('over a network, sslmode is one of disable, require, verify-ca and verify-full')
  }
  if (named !== 'require' && root === null) throw refuse(`sslmode=${named} needs sslrootcert: a path, or \`system\``)
  // Anybody can have a certificate of a public authority, so that its name must be compared.
  if (root === 'system' && named !== 'verify-full') throw refuse('sslrootcert=system needs sslmode=verify-full')
  // With a root certificate `require` has always meant `verify-ca`.
  return { mode: named === 'require' && root !== null ? 'verify-ca' : named, root, own: ownIn(parameters) }
}

function placeOf({ host, port, user, database }: Omit<PostgresAddress, 'place'>): string {
  const shown = host.includes(':') ? `[${host}]` : host
  return `postgresql://${encodeURIComponent(user)}@${shown}:${port}/${encodeURIComponent(database)}`
}

/**
 * Parses `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`, with `host=/directory` among the parameters for a
 * Unix socket. User, database and, over a network, `sslmode` must be there. Throws `registry_address`.
 */
export function parsePostgresAddress(url: string): PostgresAddress {
  const parts = url.length <= longestUrl ? form.exec(url) : null
  if (parts === null) throw refuse('it does not have the form of a URL of PostgreSQL')
  const [, user = '', password, named = '', port = '5432', database = '', query = ''] = parts
  const parameters = parametersIn(query)
  const directory = parameters.get('host')
  if (directory !== undefined && (named !== '' || !isAbsolute(directory))) {
    throw refuse('the parameter host is the absolute path of a directory, and there is no other host')
  }
  const host = directory ?? decoded(named.replace(/^\[|\]$/g, ''), 'the host')
  const address = {
    ...{ host, port: Number(port), user: decoded(user, 'the user'), database: decoded(database, 'the database') },
    password: password === undefined ? null : decoded(password, 'the password'),
    tls: directory === undefined ? tlsIn(parameters) : null,
  }
  if (host === '' || address.user === '' || address.database === '') throw refuse('host, user or database is missing')
  if (address.port < 1 || address.port > 65_535) throw refuse('the port is not between 1 and 65535')
  return { ...address, place: placeOf(address) }
}
