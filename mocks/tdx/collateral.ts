import { type KeyObject, sign } from 'node:crypto'
import { toHex } from '../../src/base/bytes.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { type Identity, issueRevocationList } from './certificates.ts'
import {
  type Edition,
  type Period,
  type QeIdentityDocument,
  qeIdentity,
  sgxTcbInfo,
  sgxTcbInfoV2,
  type TcbInfoDocument,
  tdxTcbInfo,
} from './documents.ts'
import type { PckAuthority } from './pck-extension.ts'
import { caOf, type SimulatedPki } from './pki.ts'

export type CollateralItem = 'tcbInfo' | 'qeIdentity' | 'rootCrl' | 'pckCrl'

/** Whose certificate is on a revocation list. */
export type RevokedMember = 'pck' | 'ca' | 'tcb-signer'

export interface CollateralOptions {
  /** Default TDX. */
  readonly tee?: 'tdx' | 'sgx'
  /** Authority of the PCK certificate; default the platform authority. */
  readonly ca?: PckAuthority
  /** Version 2 exists for SGX only; default 3. */
  readonly tcbInfoVersion?: 2 | 3
  /** When everything was issued, milliseconds since the epoch; default an hour before now. */
  readonly issued?: number
  /** Other periods for single items. */
  readonly periods?: Partial<Readonly<Record<CollateralItem, Period>>>
  /** tcbEvaluationDataNumber of both documents; default 17, and 18 of the early set. */
  readonly evaluationNumber?: number
  readonly update?: 'standard' | 'early'
  readonly revoked?: readonly RevokedMember[]
  /** Serial numbers on the list of the PCK authority besides. */
  readonly revokedSerials?: readonly bigint[]
  /** Changes to the documents before they are signed. */
  readonly editTcbInfo?: (document: TcbInfoDocument) => object
  readonly editQeIdentity?: (document: QeIdentityDocument) => object
  /** Who signs both documents; default the TCB signer. */
  readonly signer?: Identity
  /** What signs the revocation lists, under the names of their issuers; default the issuers' own keys. */
  readonly listKey?: KeyObject
}

/** The exact text of a document and its signature, 128 hexadecimal digits. */
export interface SignedText {
  readonly text: string
  readonly signature: string
}

const day = 86_400_000
const lives: Readonly<Record<CollateralItem, number>> = {
  tcbInfo: 30 * day,
  qeIdentity: 30 * day,
  rootCrl: 365 * day,
  pckCrl: 30 * day,
}

/** Raw r‖s, 64 bytes. */
export function signRaw(key: KeyObject, data: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }))
}

function signText(document: object, { key }: Identity): SignedText {
  const text = JSON.stringify(document)
  return { text, signature: toHex(signRaw(key, new TextEncoder().encode(text))) }
}

export const pemChain = (...certificates: readonly Identity[]): string =>
  certificates.map(({ certificate }) => encodePem(certificate, 'CERTIFICATE')).join('')

const wholeSecond = (milliseconds: number) => Math.floor(milliseconds / 1000) * 1000

/** The documents and lists of the simulated maker, issued anew at every call. */
export class CollateralIssuer {
  readonly #pki: SimulatedPki
  readonly #options: CollateralOptions
  readonly #issued: number

  /** `now`: milliseconds since the epoch. */
  constructor(pki: SimulatedPki, now: number, options: CollateralOptions = {}) {
    this.#pki = pki
    this.#options = options
    this.#issued = wholeSecond(options.issued ?? now - 3_600_000)
  }

  #period(item: CollateralItem): Period {
    return this.#options.periods?.[item] ?? { issued: this.#issued, nextUpdate: this.#issued + lives[item] }
  }

  #edition(item: 'tcbInfo' | 'qeIdentity'): Edition {
    const { update = 'standard', evaluationNumber = update === 'early' ? 18 : 17 } = this.#options
    return { ...this.#period(item), evaluationNumber }
  }

  #tcbInfoDocument(): TcbInfoDocument {
    const { tee = 'tdx', tcbInfoVersion = 3 } = this.#options
    const edition = this.#edition('tcbInfo')
    if (tcbInfoVersion === 2) return sgxTcbInfoV2(this.#pki.platform, edition)
    return tee === 'tdx' ? tdxTcbInfo(this.#pki.platform, edition) : sgxTcbInfo(this.#pki.platform, edition)
  }

  get #signer(): Identity {
    return this.#options.signer ?? this.#pki.tcbSigner
  }

  tcbInfo(): SignedText {
    const { editTcbInfo = (document: TcbInfoDocument): object => document } = this.#options
    return signText(editTcbInfo(this.#tcbInfoDocument()), this.#signer)
  }

  qeIdentity(): SignedText {
    const { tee = 'tdx', editQeIdentity = (document: QeIdentityDocument): object => document } = this.#options
    return signText(editQeIdentity(qeIdentity(tee, this.#edition('qeIdentity'))), this.#signer)
  }

  /** Another document of the maker, signed like these two. */
  signed(document: object): SignedText {
    return signText(document, this.#signer)
  }

  /** PEM: TCB signer, root. */
  signerChain(): string {
    return pemChain(this.#signer, this.#pki.root)
  }

  #revoked(member: RevokedMember, ...identities: readonly Identity[]): bigint[] {
    return this.#options.revoked?.includes(member) ? identities.map(({ serial }) => serial) : []
  }

  rootCrl(): Uint8Array {
    const { root, platformCa, processorCa, tcbSigner } = this.#pki
    const revoked = [...this.#revoked('ca', platformCa, processorCa), ...this.#revoked('tcb-signer', tcbSigner)]
    return this.#list(root, 'rootCrl', revoked)
  }

  pckCrl(authority: PckAuthority = this.#options.ca ?? 'platform'): Uint8Array {
    const { platformPck, processorPck } = this.#pki
    const revoked = this.#revoked('pck', authority === 'platform' ? platformPck : processorPck)
    return this.#list(caOf(this.#pki, authority), 'pckCrl', [...revoked, ...(this.#options.revokedSerials ?? [])])
  }

  /** Numbers count the hours since the epoch, so that a later list has a higher one. */
  #list(issuer: Identity, item: 'rootCrl' | 'pckCrl', revoked: readonly bigint[]): Uint8Array {
    const { issued: thisUpdate, nextUpdate } = this.#period(item)
    const signingKey = this.#options.listKey ?? issuer.key
    const number = Math.floor(thisUpdate / 3_600_000)
    return issueRevocationList({ issuer, thisUpdate, nextUpdate, number, revoked, signingKey })
  }

  /** PEM: PCK authority, root. */
  pckCrlChain(authority: PckAuthority = this.#options.ca ?? 'platform'): string {
    return pemChain(caOf(this.#pki, authority), this.#pki.root)
  }

  bundle(): Collateral {
    const [tcbInfo, identity] = [this.tcbInfo(), this.qeIdentity()]
    return {
      tcbInfoIssuerChain: this.signerChain(),
      tcbInfo: tcbInfo.text,
      tcbInfoSignature: tcbInfo.signature,
      qeIdentityIssuerChain: this.signerChain(),
      qeIdentity: identity.text,
      qeIdentitySignature: identity.signature,
      rootCaCrl: this.rootCrl(),
      pckCrl: this.pckCrl(),
      pckCrlIssuerChain: this.pckCrlChain(),
      pckCertificateChain: null,
    }
  }
}
