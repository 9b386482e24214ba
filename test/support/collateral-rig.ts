import { createHash, createPublicKey, verify } from 'node:crypto'
import { CollateralIssuer, type CollateralOptions } from '../../mocks/tdx/collateral.ts'
import { createPki, type SimulatedPki } from '../../mocks/tdx/pki.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import type { CollateralItem } from '../../src/endorser/tdx/collateral-item.ts'
import { type PccsBase, parsePccsBase } from '../../src/endorser/tdx/pccs-base.ts'
import type {
  AuthenticateItem,
  CollateralAnswer,
  CollateralStore,
  CollateralTransport,
} from '../../src/endorser/tdx/ports.ts'
import type { CollateralQuery } from '../../src/endorser/tdx/query.ts'

/** Wall time at which the rig begins, and its maker with keys that are made once per test file. */
export const rigNow = Date.UTC(2026, 5, 1)
export const rigPki: SimulatedPki = createPki(rigNow)
export const rigQuery: CollateralQuery = {
  tee: 'tdx',
  fmspc: rigPki.platform.fmspc,
  ca: 'platform',
  update: 'standard',
}
export const rigBase = (name = 'pccs'): PccsBase => parsePccsBase(`https://${name}.example:8081`)

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Who signed, by the keys of the rig alone: the judgement of chains is the verifier's. */
export const authenticate: AuthenticateItem = (item) => (isSigned(item) ? null : 'the signature is wrong')

function isSigned(item: CollateralItem): boolean {
  const { tcbSigner, platformCa, processorCa, root } = rigPki
  if ('text' in item) {
    const key = { key: createPublicKey(tcbSigner.key), dsaEncoding: 'ieee-p1363' } as const
    return verify('sha256', bytesOf(item.text), key, Buffer.from(item.signature, 'hex'))
  }
  const { tbs, signature } = parseCrl(item.der)
  const issuers = item.kind === 'root-crl' ? [root] : [platformCa, processorCa]
  return issuers.some(({ key }) => verify('sha256', tbs, createPublicKey(key), signature))
}

const chainHeader = (text: string): string => encodeURIComponent(text)

/** The maker's documents as a caching service serves them. */
export function answerTo(url: URL, issuer: CollateralIssuer): CollateralAnswer {
  const path = url.pathname
  const answer = (body: Uint8Array, headers: Record<string, string> = {}) => ({ status: 200, headers, body })
  if (path.endsWith('/rootcacrl') || path.endsWith('.der')) return answer(issuer.rootCrl())
  if (path.endsWith('/pckcrl')) {
    const ca = url.searchParams.get('ca') === 'processor' ? 'processor' : 'platform'
    return answer(issuer.pckCrl(ca), { 'sgx-pck-crl-issuer-chain': chainHeader(issuer.pckCrlChain(ca)) })
  }
  const isTcb = path.endsWith('/tcb')
  if (isTcb && url.searchParams.get('fmspc')?.toLowerCase() !== rigPki.platform.fmspc) {
    return { status: 404, headers: {}, body: new Uint8Array() }
  }
  const { text, signature } = isTcb ? issuer.tcbInfo() : issuer.qeIdentity()
  const body = bytesOf(`{"${isTcb ? 'tcbInfo' : 'enclaveIdentity'}":${text},"signature":"${signature}"}`)
  const header = isTcb ? 'tcb-info-issuer-chain' : 'sgx-enclave-identity-issuer-chain'
  return answer(body, { [header]: chainHeader(issuer.signerChain()) })
}

/** A caching service without a network: serves what `options` say, unless `meddle` answers instead. */
export class FakePccs implements CollateralTransport {
  readonly asked: URL[] = []
  options: CollateralOptions = {}
  meddle: (url: URL, signal: AbortSignal) => Promise<CollateralAnswer | null> | CollateralAnswer | null = () => null
  #now: () => number

  constructor(now: () => number = () => rigNow) {
    this.#now = now
  }

  async get(url: URL, { signal }: { readonly maxBytes: number; readonly signal: AbortSignal }) {
    this.asked.push(url)
    const meddled = await this.meddle(url, signal)
    if (meddled) return meddled
    const tee = url.pathname.includes('/sgx/') ? 'sgx' : 'tdx'
    const update = url.searchParams.get('update') === 'early' ? 'early' : 'standard'
    const asOf =
      this.options.issued === undefined ? { issued: Math.floor(this.#now() / 3_600_000 - 1) * 3_600_000 } : {}
    return answerTo(url, new CollateralIssuer(rigPki, this.#now(), { tee, update, ...asOf, ...this.options }))
  }

  get paths(): string[] {
    return this.asked.map(({ pathname, search }) => `${pathname}${search}`)
  }
}

export const status = (code: number, headers: Record<string, string> = {}): CollateralAnswer => ({
  status: code,
  headers,
  body: new Uint8Array(),
})

/** A disk. `fault`: what happens to the next writes; `stored` means that the process died after the rename. */
export class FakeStore implements CollateralStore {
  readonly files = new Map<string, Uint8Array>()
  fault: 'full' | 'stored' | 'unreadable' | null = null

  async list(): Promise<string[]> {
    if (this.fault === 'unreadable') throw new Error('EIO')
    return [...this.files.keys()].sort()
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array | null> {
    if (this.fault === 'unreadable') throw new Error('EIO')
    const file = this.files.get(name) ?? null
    if (file && file.length > maxBytes) throw new Error('EFBIG')
    return file
  }

  async write(name: string, content: Uint8Array): Promise<void> {
    if (this.fault !== 'full') this.files.set(name, Uint8Array.from(content))
    if (this.fault !== null) throw new Error('ENOSPC')
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name)
  }

  get digest(): string {
    const hash = createHash('sha256')
    for (const [name, content] of this.files) hash.update(name).update(content)
    return hash.digest('hex')
  }
}
