import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { freePort } from '../../mocks/demo/free-port.ts'
import type { AgentMachine } from './agent-process.ts'
import { throwAwayTls } from './throw-away-tls.ts'
import { type VerifierHome, type VerifierLines, verifierHome } from './verifier-process.ts'

export type FacadeName = 'attestation' | 'administration'

/** A configuration with both façades for clients of Azure Attestation, and what their clients have to know. */
export interface AzureVerifierHome extends VerifierHome {
  readonly urls: Readonly<Record<FacadeName, string>>
  /** Of the administrator `ann`. */
  readonly token: string
  /** PEM of the authority of both servers. */
  readonly ca: string
}

export interface AzureVerifierSpec extends VerifierLines {
  /** Of the façades this one is not configured. */
  readonly without?: FacadeName
  /** Values in place of those that a section has, as they stand in TOML. */
  readonly change?: Readonly<Partial<Record<FacadeName, Readonly<Record<string, string>>>>>
}

const quoted = (text: string) => JSON.stringify(text)

/** Writes the configuration of a verifier with both façades, each at a free port, with a throw-away certificate. */
export async function azureVerifierHome(
  folder: string,
  machine: AgentMachine,
  { change = {}, tables = [], without, ...lines }: AzureVerifierSpec = {},
): Promise<AzureVerifierHome> {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const tls = throwAwayTls()
  const [certificate, key] = [join(folder, 'tls.pem'), join(folder, 'tls.key')]
  writeFileSync(certificate, tls.server.cert, { mode: 0o644 })
  writeFileSync(key, tls.server.key, { mode: 0o600 })
  const token = randomBytes(32).toString('base64')
  const hash = createHash('sha256').update(token).digest('hex')
  const ports = { attestation: await freePort(), administration: await freePort() }
  const urlOf = (name: FacadeName) => `https://localhost:${ports[name]}`
  const section = (name: FacadeName, more: Readonly<Record<string, string>> = {}) => {
    const own = { url: urlOf(name), listen: `127.0.0.1:${ports[name]}`, certificate, key }
    const texts = Object.entries(own).map(([member, value]) => [member, quoted(value)])
    const values = { ...Object.fromEntries(texts), ...more, ...change[name] }
    return [`[azure.${name}]`, ...Object.entries(values).map(([member, value]) => `${member} = ${value}`), ''].join(
      '\n',
    )
  }
  const administrators = `[{ name = "ann", token_sha256 = "${hash}" }]`
  const sections = {
    attestation: section('attestation'),
    administration: section('administration', { administrators }),
  }
  const facades = Object.entries(sections).flatMap(([name, text]) => (name === without ? [] : [text]))
  const home = await verifierHome(folder, machine, { ...lines, tables: [...tables, ...facades] })
  const urls = { attestation: urlOf('attestation'), administration: urlOf('administration') }
  return { ...home, urls, token, ca: tls.ca }
}

export interface TlsAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where that is not there
  readonly json: any
}

export interface TlsRequest {
  readonly method?: 'GET' | 'PUT' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One request over TLS, to a server that this authority vouches for. */
export async function askOverTls(url: string, ca: string, asked: TlsRequest = {}): Promise<TlsAnswer> {
  const dispatcher = new Agent({ connect: { ca } })
  try {
    const { statusCode: status, headers, body } = await request(url, { ...asked, dispatcher })
    const text = await body.text()
    return { status, headers, text, json: text.startsWith('{') ? JSON.parse(text) : null }
  } finally {
    await dispatcher.close()
  }
}

/** `POST /attest/TdxVm`, with these members. */
export function askForTd({ urls, ca }: AzureVerifierHome, members: object): Promise<TlsAnswer> {
  return askOverTls(`${urls.attestation}/attest/TdxVm?api-version=2025-06-01`, ca, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(members),
  })
}
