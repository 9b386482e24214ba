import { createPrivateKey, type KeyObject } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { encodePem, parsePem } from '../../src/base/pki/pem.ts'
import { anchorOf, type TrustAnchor } from '../../src/base/pki/trust-anchor.ts'
import { type Identity, issueCertificate, newKey, newSerial, type Signer, type Validity } from './certificates.ts'
import { type PckAuthority, pckExtension } from './pck-extension.ts'
import { defaultPlatform, type SimulatedPlatform } from './platform.ts'

/** Common names of TDX-115: the unmodified verifier demands them. */
const commonNames = {
  root: 'Intel SGX Root CA',
  platformCa: 'Intel SGX PCK Platform CA',
  processorCa: 'Intel SGX PCK Processor CA',
  tcbSigner: 'Intel SGX TCB Signing',
  platformPck: 'Intel SGX PCK Certificate',
  processorPck: 'Intel SGX PCK Certificate',
} as const
type Member = keyof typeof commonNames

/** The simulated maker: authorities, signer and the PCK certificates of one platform (TDX-280). */
export interface SimulatedPki extends Readonly<Record<Member, Identity>> {
  readonly platform: SimulatedPlatform
  /** The root as the one trust anchor under which its evidence verifies; marked, so that results say what it is. */
  readonly anchor: TrustAnchor & { readonly simulator: true }
}

const day = 86_400_000
const year = 365 * day
/** How long certificates hold, around the time at which they are made. */
const lifetime = { before: year, after: 20 * year }
const place = 'https://simulator.invalid/sgx/certification/v4'

interface Form {
  readonly issuer: Member
  readonly pathLength: number | null
  readonly distributionPoint: string
  readonly pck?: PckAuthority
}

const rootList = `${place}/rootcacrl`
const forms: Readonly<Record<Member, Form>> = {
  root: { issuer: 'root', pathLength: 1, distributionPoint: rootList },
  platformCa: { issuer: 'root', pathLength: 0, distributionPoint: rootList },
  processorCa: { issuer: 'root', pathLength: 0, distributionPoint: rootList },
  tcbSigner: { issuer: 'root', pathLength: null, distributionPoint: rootList },
  platformPck: pckForm('platform', 'platformCa'),
  processorPck: pckForm('processor', 'processorCa'),
}

function pckForm(pck: PckAuthority, issuer: Member): Form {
  return { issuer, pck, pathLength: null, distributionPoint: `${place}/pckcrl?ca=${pck}&encoding=der` }
}

const members = Object.keys(forms) as Member[]

export const caOf = (pki: SimulatedPki, authority: PckAuthority): Identity =>
  authority === 'platform' ? pki.platformCa : pki.processorCa

function validityAt(now: number): Validity {
  return { notBefore: now - lifetime.before, notAfter: now + lifetime.after }
}

interface Making {
  readonly member: Member
  readonly key: KeyObject
  readonly issuer: Signer
  readonly validity: Validity
  readonly platform: SimulatedPlatform
}

function issueMember({ member, key, issuer, validity, platform }: Making): Identity {
  const { pathLength, distributionPoint, pck } = forms[member]
  const [commonName, serial] = [commonNames[member], newSerial()]
  const extensions = pck ? [pckExtension(platform, pck)] : []
  const certificate = issueCertificate({
    ...{ commonName, key, issuer, serial, distributionPoint, pathLength, extensions, ...validity },
  })
  return { commonName, key, certificate, serial }
}

/** A PCK certificate for another platform than the usual one, such as one with another FMSPC. */
export function issuePck(
  pki: SimulatedPki,
  authority: PckAuthority,
  platform: SimulatedPlatform,
  { notBefore, notAfter }: Validity = pki.anchor.authority,
): Identity {
  return issueMember({
    member: authority === 'platform' ? 'platformPck' : 'processorPck',
    key: newKey(),
    issuer: caOf(pki, authority),
    validity: { notBefore, notAfter },
    platform,
  })
}

function pkiOf(identities: Readonly<Record<Member, Identity>>, platform: SimulatedPlatform): SimulatedPki {
  const root = parseCertificate(identities.root.certificate)
  return { ...identities, platform, anchor: { ...anchorOf(root, 'attestd simulator'), simulator: true } }
}

/** Makes new keys and certificates, valid from a year before `now` (milliseconds since the epoch) to 20 years after. */
export function createPki(now: number, platform = defaultPlatform): SimulatedPki {
  const validity = validityAt(now)
  const rootKey = newKey()
  const rootSigner = { commonName: commonNames.root, key: rootKey }
  const below = (member: Member, issuer: Signer, key = newKey()) =>
    issueMember({ member, key, issuer, validity, platform })
  const platformCa = below('platformCa', rootSigner)
  const processorCa = below('processorCa', rootSigner)
  const identities = {
    root: below('root', rootSigner, rootKey),
    platformCa,
    processorCa,
    tcbSigner: below('tcbSigner', rootSigner),
    platformPck: below('platformPck', platformCa),
    processorPck: below('processorPck', processorCa),
  }
  return pkiOf(identities, platform)
}

const fileOf = (directory: string, member: Member, kind: 'key' | 'crt') => join(directory, `${member}.${kind}.pem`)

/** Where `keepPki` keeps the root certificate in PEM. */
export const rootFile = (directory: string): string => fileOf(directory, 'root', 'crt')

function load(directory: string, member: Member): Identity {
  const key = createPrivateKey(readFileSync(fileOf(directory, member, 'key')))
  const certificate = parsePem(readFileSync(fileOf(directory, member, 'crt'), 'latin1'), 'CERTIFICATE')
  return { commonName: commonNames[member], key, certificate, serial: parseCertificate(certificate).serial }
}

function save(directory: string, member: Member, { key, certificate }: Identity): void {
  const options = { mode: 0o600, flag: 'wx' } as const
  writeFileSync(fileOf(directory, member, 'key'), key.export({ format: 'pem', type: 'pkcs8' }), options)
  writeFileSync(fileOf(directory, member, 'crt'), encodePem(certificate, 'CERTIFICATE'), options)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/**
 * The keys and certificates in `directory` (files of mode 0600), made at first use. Throws where they are not current
 * at `now`: a folder serves one time.
 */
export function keepPki(directory: string, now: number): SimulatedPki {
  const known = loadAll(directory)
  if (known === undefined) {
    const made = createPki(now)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const member of members) save(directory, member, made[member])
    return made
  }
  const { notBefore, notAfter } = known.anchor.authority
  if (now < notBefore || now > notAfter) throw new Error(`the simulated certificates in ${directory} are not current`)
  return known
}

function loadAll(directory: string): SimulatedPki | undefined {
  try {
    const identities = {
      root: load(directory, 'root'),
      platformCa: load(directory, 'platformCa'),
      processorCa: load(directory, 'processorCa'),
      tcbSigner: load(directory, 'tcbSigner'),
      platformPck: load(directory, 'platformPck'),
      processorPck: load(directory, 'processorPck'),
    }
    return pkiOf(identities, defaultPlatform)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
