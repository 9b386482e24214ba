import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { parsePemBlocks } from '../../base/pki/pem.ts'
import { parseSgxExtension, sgxExtensionId } from '../../endorsements/tdx/sgx-extension.ts'
import { ccelTableLayout } from '../../evidence/tdx/ccel-table.ts'
import { parseQuote, type Quote, quoteLayout, signedPartLayout } from '../../evidence/tdx/quote.ts'
import type { QuoteBody } from '../../evidence/tdx/quote-body.ts'
import { qeVendorId } from '../../evidence/tdx/signed-part.ts'
import { nameAttributes } from '../../evidence/tdx/td-attributes.ts'
import { matchTdReportHashes, parseTdReportStruct, tdReportStructLayout } from '../../evidence/tdx/tdreport.ts'
import { certificateSummary } from './certificates.ts'
import { heading, type InspectedField, type Inspection, inspectLayout, shownValue } from './inspection.ts'

/** What `read` gives; nothing for bytes that are not what it reads: a tree shows what it can. */
function ifWellFormed<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedError) return []
    throw error
  }
}

function sgxFields({ extensions }: Certificate): InspectedField[] {
  const extension = extensions.get(sgxExtensionId)
  if (!extension) return []
  const { ppid, components, configuration, platformInstanceId, ...facts } = parseSgxExtension(extension.value)
  const lines: [string, unknown][] = [
    ...Object.entries(facts),
    ['components', components.join(' ')],
    ['ppid', ppid],
    ['platformInstanceId', platformInstanceId ?? ''],
    ...Object.entries(configuration ?? {}).map(([name, value]): [string, string] => [name, String(value)]),
  ]
  return [heading('(SGX extension)', 0), ...lines.map(([name, value]) => heading(name, 1, shownValue(value)))]
}

const latin1 = new TextDecoder('latin1')

/** Where each PEM block of a chain begins, and its size. */
function blockPlaces(data: Uint8Array): { offset: number; size: number }[] {
  const blocks = latin1.decode(data).matchAll(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
  return [...blocks].map(({ index, 0: { length: size } }) => ({ offset: index, size }))
}

/** The certificates of a chain, leaf first, each with what it says in short; offsets are those of their PEM. */
function chainFields(data: Uint8Array, base: number, depth: number): readonly InspectedField[] {
  const places = blockPlaces(data)
  const ders = ifWellFormed(() => parsePemBlocks(latin1.decode(data), 'CERTIFICATE'))
  return ders.flatMap((der, index) => {
    const { offset = 0, size = null } = places[index] ?? {}
    const facts = ifWellFormed(() => {
      const certificate = parseCertificate(der)
      return [...certificateSummary(certificate), ...sgxFields(certificate)]
    })
    const place: InspectedField = { ...heading(`certificate ${index}`, depth, '', base + offset), size }
    return [place, ...facts.map((field) => ({ ...field, depth: field.depth + depth + 1 }))]
  })
}

function attributeFields(body: QuoteBody): InspectedField[] {
  if (body.kind === 'sgx') return []
  const set = Object.entries(nameAttributes(body.report.tdAttributes)).flatMap(([name, is]) => (is ? [name] : []))
  return [heading('(TD attributes set)', 0, set.join(' '))]
}

/** The chain goes below the field that holds it. */
function withChain(fields: readonly InspectedField[], bytes: Uint8Array, quote: Quote): readonly InspectedField[] {
  const { type, data } = quote.certification
  if (type !== 5) return fields
  const base = data.byteOffset - bytes.byteOffset
  const at = fields.findIndex(({ name, size }, index) => name === 'data' && size === data.length + 4 && index > 0)
  const depth = (fields[at]?.depth ?? 0) + 1
  return [...fields.slice(0, at + 1), ...chainFields(data, base, depth), ...fields.slice(at + 1)]
}

function inspectSignedPart(bytes: Uint8Array): Inspection {
  return inspectLayout('signed part of a quote', signedPartLayout, bytes)
}

/**
 * A quote of an enclave or a TD, field by field, with the report of the quoting enclave and the certificates inside. The
 * signed part alone, without signature data, is shown as well.
 */
export function inspectQuote(bytes: Uint8Array): Inspection {
  const inspection = inspectLayout('quote', quoteLayout, bytes)
  if (inspection.problem) {
    const part = inspectSignedPart(bytes)
    return part.problem ? inspection : part
  }
  const quote = parseQuote(bytes)
  const signed = heading('(signed)', 0, `${quote.signedBytes.length} bytes`, 0)
  const fields = [...withChain(inspection.fields, bytes, quote), signed, ...attributeFields(quote.body)]
  return { kind: `quote (version ${quote.header.version}, ${quote.body.kind})`, fields }
}

/** A TDREPORT, and which of its two hashes fit. */
export function inspectTdReport(bytes: Uint8Array): Inspection {
  const inspection = inspectLayout('TDREPORT', tdReportStructLayout, bytes)
  if (inspection.problem) return inspection
  const fits = matchTdReportHashes(parseTdReportStruct(bytes))
  const conclusions = [
    heading('(teeTcbInfoHash fits)', 0, String(fits.teeTcbInfo)),
    heading('(teeInfoHash fits)', 0, String(fits.tdInfo)),
  ]
  return { ...inspection, fields: [...inspection.fields, ...conclusions] }
}

export const inspectCcelTable = (bytes: Uint8Array) => inspectLayout('CCEL table', ccelTableLayout, bytes)

/** Which structure of TDX the bytes begin like: what tells them from all others, so that cut ones are known too. */
export function kindOfTdx(bytes: Uint8Array): 'quote' | 'tdreport' | 'ccel' | undefined {
  if (toHex(bytes.subarray(12, 28)) === qeVendorId) return 'quote'
  if (latin1.decode(bytes.subarray(0, 4)) === 'CCEL' && bytes[4] === 56) return 'ccel'
  return bytes.length === 1024 && bytes[0] === 0x81 ? 'tdreport' : undefined
}
