import { MalformedError } from '../../base/errors.ts'
import { bytesOf, encode, parse, sizedBytes, struct, u16le, u32be, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'

/** Most bytes of a message to or from the quoting service, its length in front not counted (TDX-016). */
export const qgsMessageLimit = 16_384

export const tdReportSize = 1024

const messageType = { getQuoteRequest: 0, getQuoteResponse: 1 } as const

const header = struct({ major: u16le, minor: u16le, type: u32le, size: u32le, error: u32le })
const headerSize = 16

const requestLayout = struct({ header, reportSize: u32le, idListSize: u32le, report: bytesOf(tdReportSize) })
const requestSize = headerSize + 8 + tdReportSize

/** A request for a quote over a TDREPORT of 1024 bytes, with its length in front (u32 big endian): 1052 bytes. */
export function encodeQuoteRequest(report: Uint8Array): Uint8Array {
  const message = encode(requestLayout, {
    header: { major: 1, minor: 1, type: messageType.getQuoteRequest, size: requestSize, error: 0 },
    reportSize: tdReportSize,
    idListSize: 0,
    report,
  })
  return encode(framed, message, 'request')
}

const framed = sizedBytes(u32be, { max: qgsMessageLimit })

export interface QuoteResponse {
  /** 0: there is a quote. Everything else is a number of the service. */
  readonly error: number
  readonly quote: Uint8Array
}

/**
 * Parses the answer of the quoting service, its length in front, to the last byte (TDX-016, NAT-71). `limit` bounds the
 * message behind the length. Throws `MalformedError`.
 */
export function parseQuoteResponse(bytes: Uint8Array, limit = qgsMessageLimit): QuoteResponse {
  const message = parse(sizedBytes(u32be, { max: limit }), bytes, 'qgs')
  const reader = new Reader(message, 'qgs.message')
  const { major, type, size, error } = reader.field('header', () => header.read(reader))
  const refuse = (problem: string) => new MalformedError({ path: 'qgs.message.header' }, problem)
  if (major !== 1) throw refuse(`major version ${major} is not 1`)
  if (type !== messageType.getQuoteResponse) throw refuse(`type ${type} is not a response`)
  if (size !== message.length) throw refuse(`states ${size} bytes, has ${message.length}`)
  if (error !== 0) return { error, quote: new Uint8Array() }
  const idSize = reader.field('selectedIdSize', () => reader.integer(4, true))
  const quoteSize = reader.field('quoteSize', () => reader.integer(4, true))
  reader.field('selectedId', () => reader.bytes(idSize))
  const quote = reader.field('quote', () => reader.bytes(quoteSize))
  reader.requireEnd()
  return { error, quote }
}
