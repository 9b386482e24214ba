import { createPrivateKey, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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

const folderOf = (directory: string) => join(directory, 'pki')
const fileOf = (folder: string, member: Member, kind: 'key' | 'crt') => join(folder, `${member}.${kind}.pem`)

/** Where `keepPki` keeps the root certificate in PEM. */
export const rootFile = (directory: string): string => fileOf(folderOf(directory), 'root', 'crt')

function load(folder: string, member: Member): Identity {
  const key = createPrivateKey(readFileSync(fileOf(folder, member, 'key')))
  const certificate = parsePem(readFileSync(fileOf(folder, member, 'crt'), 'latin1'), 'CERTIFICATE')
  return { commonName: commonNames[member], key, certificate, serial: parseCertificate(certificate).serial }
}

function save(folder: string, member: Member, { key, certificate }: Identity): void {
  const options = { mode: 0o600, flag: 'wx' } as const
  writeFileSync(fileOf(folder, member, 'key'), key.export({ format: 'pem', type: 'pkcs8' }), options)
  writeFileSync(fileOf(folder, member, 'crt'), encodePem(certificate, 'CERTIFICATE'), options)
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** All files or none: the folder appears whole, and where another process was faster, its keys stay. */
function saveAll(directory: string, pki: SimulatedPki): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const fresh = mkdtempSync(join(directory, 'pki-'))
  for (const member of members) save(fresh, member, pki[member])
  try {
    renameSync(fresh, folderOf(directory))
  } catch (error) {
    rmSync(fresh, { recursive: true })
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
}

/**
 * The keys and certificates in the folder `pki` of `directory` (files of mode 0600), made at first use. Throws where they
 * are not current at `now`: a folder serves one time.
 */
export function keepPki(directory: string, now: number): SimulatedPki {
  if (!existsSync(folderOf(directory))) saveAll(directory, createPki(now))
  const pki = loadAll(folderOf(directory))
  const { notBefore, notAfter } = pki.anchor.authority
  if (now < notBefore || now > notAfter) throw new Error(`the simulated certificates in ${directory} are not current`)
  return pki
}

function loadAll(folder: string): SimulatedPki {
  const identities = {
    root: load(folder, 'root'),
    platformCa: load(folder, 'platformCa'),
    processorCa: load(folder, 'processorCa'),
    tcbSigner: load(folder, 'tcbSigner'),
    platformPck: load(folder, 'platformPck'),
    processorPck: load(folder, 'processorPck'),
  }
  return pkiOf(identities, defaultPlatform)
}
