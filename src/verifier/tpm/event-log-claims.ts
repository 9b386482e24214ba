import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { type DatabaseEntry, parseSignatureLists } from '../../evidence/event-log/signature-list.ts'
import { type AaelEvent, evEventTag, isAaelData, parseAaelData } from '../../evidence/tdx/aael.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { type BootChain, bootChainOf, type LoaderText } from '../event-log/boot-chain.ts'
import type { Authority, SecureBoot, SecureBootVariable } from '../event-log/secure-boot.ts'
import type { EventLogFacts } from './event-log-verdicts.ts'

type Claims = Record<string, unknown>

/** Characters of all named content together: claims become tokens, and a guest can log as much as it likes. */
const contentLimit = 16_384

/** Linux takes no longer command line on any architecture. */
const commandLineLimit = 4096

const digestName = ({ bank, digest }: { readonly bank: HashName; readonly digest: Uint8Array }) =>
  `${bank}:${toHex(digest)}`

/** Null for bytes that are no certificate: what a database holds is not checked by firmware. */
function certificateOf(der: Uint8Array): Certificate | null {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

function entriesOf(value: Uint8Array): readonly DatabaseEntry[] | null {
  try {
    return parseSignatureLists(value)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** A part of the content: it is there as a whole, or its name is among those that were left out. */
type Part = readonly [name: string, value: unknown]

/** Reading certificates is what takes longest of all; a machine has four or five in a list. */
const mostCertificates = 64

function subjectOf(der: Uint8Array): string | null {
  const certificate = certificateOf(der)
  return certificate === null ? null : describeName(certificate.subject)
}

function subjectsOf(certificates: readonly Uint8Array[]): readonly string[] | 'too many' {
  if (certificates.length > mostCertificates) return 'too many'
  return certificates.flatMap((der) => subjectOf(der) ?? [])
}

const unknownAuthority = 'unknown'

/** An authority that is hidden under another type stays in this list, too: all of it is for a policy to accept. */
function authoritySubjects(authorities: readonly Authority[]): readonly string[] | 'too many' {
  if (authorities.filter(({ name }) => name !== null).length > mostCertificates) return 'too many'
  return authorities.flatMap((one) => (one.name === null ? unknownAuthority : (subjectOf(authorityBytes(one)) ?? [])))
}

interface Database {
  readonly name: string
  readonly value: Uint8Array
  /** Null where the value is no list of signatures. */
  readonly entries: readonly DatabaseEntry[] | null
}

const databaseNames: readonly (readonly [string, SecureBootVariable])[] = [
  ['pk', 'PK'],
  ['kek', 'KEK'],
  ['db', 'db'],
  ['dbx', 'dbx'],
]

/** Only where SB-03 gives a state: with a variable missing or twice, the others are not the whole configuration. */
function databasesOf({ state, variables }: SecureBoot): readonly Database[] {
  if (state === 'unknown') return []
  return databaseNames.map(([name, variable]) => {
    const value = variables.get(variable) ?? new Uint8Array()
    return { name, value, entries: entriesOf(value) }
  })
}

function certificateParts({ name, entries }: Database): Part[] {
  if (entries === null) return []
  const certificates = entries.filter(({ kind }) => kind === 'x509').map(({ data }) => data)
  return [
    [`${name}_certificates`, certificates.map(sha256Hex)],
    [`${name}_subjects`, subjectsOf(certificates)],
  ]
}

function digestParts({ name, entries }: Database): Part[] {
  const digests = (entries ?? []).filter(({ kind }) => kind.startsWith('sha'))
  return [[`${name}_digests`, digests.map(({ kind, data }) => `${kind}:${toHex(data)}`)]]
}

const ownerSize = 16

/** The certificate of an authority: under `db` behind the GUID of its owner, under shim's names as it is. */
function authorityBytes({ name, value }: Authority): Uint8Array {
  return name === 'db' ? value.subarray(ownerSize) : value
}

/** Every event behind the separator has an item, so that nothing that was added is left out of the list. */
function authorityParts({ state, authorities }: SecureBoot): Part[] {
  if (state === 'unknown') return []
  const names = authorities.map((one) =>
    one.name === null ? unknownAuthority : `${one.name}:${sha256Hex(authorityBytes(one))}`,
  )
  return [
    ['authorities', names],
    ['authority_subjects', authoritySubjects(authorities)],
  ]
}

/** Name → digests; a name occurs again where an image has several profiles. */
function sectionsOf({ sections }: BootChain): Claims {
  const byName = new Map<string, string[]>()
  for (const section of sections) {
    if (section.name === null) continue
    const digests = byName.get(section.name) ?? []
    digests.push(digestName(section))
    byName.set(section.name, digests)
  }
  return Object.fromEntries(byName)
}

/** The number of those without a name goes with the others: root can hide names, and add sections (ELOG-17). */
function sectionParts(chain: BootChain): Part[] {
  if (chain.sections.length === 0) return []
  return [
    ['kernel_sections_unnamed', chain.sections.filter(({ name }) => name === null).length],
    ['kernel_sections', sectionsOf(chain)],
  ]
}

/** The number of those that are no text goes with the others: a policy that judges all of them needs it (ELOG-17). */
function textParts(texts: readonly LoaderText[]): Part[] {
  if (texts.length === 0) return []
  return [
    ['loader_texts_unbound', texts.filter(({ text }) => text === null).length],
    ['loader_texts', texts.flatMap(({ text }) => text ?? [])],
  ]
}

/** What the guest measured of itself while it ran (TDX-034). Last: a workload must not crowd out what was booted. */
function runtimeParts({ judged }: EventLogFacts): Part[] {
  const events: Claims[] = []
  for (const { event, bound, bytes } of judged.measured()) {
    if (bound !== 'data' || bytes === null || event.type !== evEventTag || !isAaelData(bytes)) continue
    const aael = aaelEventOf(bytes)
    if (aael !== null) events.push({ ...aael, pcr: event.pcr })
  }
  return events.length === 0 ? [] : [['aael', events]]
}

function aaelEventOf(data: Uint8Array): AaelEvent | null {
  try {
    return parseAaelData(data)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** In the order of importance. */
function partsOf(secureBoot: SecureBoot, chain: BootChain): Part[] {
  const found = databasesOf(secureBoot)
  return [
    ...found.map(({ name, value }): Part => [`${name}_sha256`, sha256Hex(value)]),
    ...authorityParts(secureBoot),
    ['boot_images', chain.images.map(digestName)],
    ['boot_drivers', chain.drivers.map(digestName)],
    ...sectionParts(chain),
    ['mok_lists', chain.mokLists.map(digestName)],
    ['boot_files', chain.files.map(digestName)],
    ...found.flatMap(certificateParts),
    ...textParts(chain.loaderTexts),
    ...found.flatMap(digestParts),
  ]
}

const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0

/** Parts as long as they fit; `too_long` names the others, so that a policy does not take a part for absent. */
function contentOf(parts: readonly Part[]): Claims {
  const content: Claims = {}
  const left: string[] = []
  let size = 0
  for (const [name, value] of parts) {
    if (isEmpty(value)) continue
    const added = value === 'too many' ? contentLimit + 1 : JSON.stringify(value).length + name.length
    if (size + added > contentLimit) left.push(name)
    else {
      size += added
      content[name] = value
    }
  }
  return left.length === 0 ? content : { ...content, too_long: left }
}

/** The command line: of the one event that carries its label (ELOG-17), else of the kernel itself (ELOG-20). */
function commandLineOf({ labelledCommandLines, loadOptions }: BootChain): string | null {
  const candidates = labelledCommandLines.length > 0 ? labelledCommandLines : loadOptions
  return candidates.length === 1 ? (candidates[0]?.text ?? null) : null
}

function commandLineClaims(chain: BootChain): Claims {
  const text = commandLineOf(chain)
  return text === null || text.length > commandLineLimit ? {} : { kernel_cmdline: text }
}

/** PCR 0 alone proves where it started: no digest covers the event that says so. */
function localityClaims({ startupLocality, judged }: EventLogFacts): Claims {
  return startupLocality === null || !judged.banks.has(0) ? {} : { startup_locality: startupLocality }
}

function secureBootClaims({ state, setupMode }: SecureBoot): Claims {
  return {
    ...(state === 'unknown' ? {} : { secure_boot: state === 'enabled' }),
    ...(setupMode === null ? {} : { setup_mode: setupMode }),
  }
}

/** Measured events whose digest covers nothing of their data. */
function unboundCount({ judged }: EventLogFacts): number {
  let count = 0
  for (const { bound } of judged.measured()) if (bound === 'none') count++
  return count
}

/**
 * Claims about the event log (POL-431, tpm.md section 11). `facts` are those of a log of which every check passed; null
 * for any other one, of which nothing is said. Content is named only as far as digests cover it: digests of images and
 * files, and no name of any of them. Lists hold every event of their register, so that a policy can ask that all of
 * them are acceptable; that one of them occurs proves nothing (SB-05, ELOG-17).
 */
export function eventLogClaims(isPresent: boolean, facts: EventLogFacts | null): Claims {
  if (!isPresent) return { eventlog_present: false }
  if (facts === null) return { eventlog_present: true, eventlog_verified: false }
  const chain = bootChainOf(facts.judged)
  return {
    eventlog_present: true,
    eventlog_verified: true,
    events_unbound: unboundCount(facts),
    unaccounted_pcrs: facts.unaccounted,
    ...localityClaims(facts),
    ...secureBootClaims(facts.secureBoot),
    ...commandLineClaims(chain),
    eventlog: contentOf([...partsOf(facts.secureBoot, chain), ...runtimeParts(facts)]),
  }
}
