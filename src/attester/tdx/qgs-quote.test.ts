import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { encode, u32be, u32le } from '../../base/layout.ts'
import { encodeQuoteRequest, parseQuoteResponse } from './qgs-message.ts'
import { createTdvmcallQuotePath, createVsockQuotePath, type QuoteService, type TdxGuestDevice } from './qgs-quote.ts'

const reportData = new Uint8Array(64).fill(3)
const report = Uint8Array.from({ length: 1024 }, (_, at) => at & 0xff)
const quote = Uint8Array.from({ length: 300 }, (_, at) => at & 0xff)
const never = new AbortController().signal

interface Fields {
  readonly major?: number
  readonly type?: number
  readonly size?: number
  readonly error?: number
  readonly idSize?: number
  readonly quoteSize?: number
  readonly ids?: Uint8Array
  readonly quote?: Uint8Array
}

/** An answer of the quoting service, with its length in front. */
function answer(fields: Fields = {}): Uint8Array {
  const { ids = new Uint8Array(), quote: given = quote } = fields
  const body = concatBytes(
    encode(u32le, fields.idSize ?? ids.length),
    encode(u32le, fields.quoteSize ?? given.length),
    ids,
    given,
  )
  const header = Buffer.alloc(16)
  header.writeUInt16LE(fields.major ?? 1, 0)
  header.writeUInt16LE(1, 2)
  header.writeUInt32LE(fields.type ?? 1, 4)
  header.writeUInt32LE(fields.size ?? 16 + body.length, 8)
  header.writeUInt32LE(fields.error ?? 0, 12)
  return concatBytes(encode(u32be, 16 + body.length), header, body)
}

describe('messages of the quoting service (TDX-016, NAT-71)', () => {
  it('a request has 1052 bytes: length, header, sizes, report', () => {
    const request = Buffer.from(encodeQuoteRequest(report))
    expect(request).toHaveLength(4 + 16 + 8 + 1024)
    expect(request.readUInt32BE(0)).toBe(1048)
    expect([...request.subarray(4, 28)]).toEqual([
      ...[1, 0, 1, 0],
      ...[0, 0, 0, 0],
      ...[0x18, 4, 0, 0],
      ...[0, 0, 0, 0],
      ...[0, 4, 0, 0],
      ...[0, 0, 0, 0],
    ])
    expect(new Uint8Array(request.subarray(28))).toEqual(report)
    expect(() => encodeQuoteRequest(report.subarray(1))).toThrow(RangeError)
  })

  it('an answer holds a quote behind the ids', () => {
    expect(parseQuoteResponse(answer()).quote).toEqual(quote)
    expect(parseQuoteResponse(answer({ ids: new Uint8Array(32).fill(1) })).quote).toEqual(quote)
    expect(parseQuoteResponse(answer({ error: 5 }))).toEqual({ error: 5, quote: new Uint8Array() })
  })

  it.each<[string, Fields]>([
    ['another major version', { major: 2 }],
    ['a request', { type: 0 }],
    ['another type', { type: 2 }],
    ['a size that is too small', { size: 323 }],
    ['a size that is too large', { size: 325 }],
    ['a quote longer than the message', { quoteSize: 301 }],
    ['a quote shorter than the message', { quoteSize: 299 }],
    ['a quote of 4 GiB', { quoteSize: 0xffffffff }],
    ['ids of 4 GiB', { idSize: 0xffffffff }],
  ])('%s is refused', (_what, fields) => {
    expect(() => parseQuoteResponse(answer(fields))).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
  })

  it('is bounded by 16 KiB behind its length, to the byte', () => {
    const room = 16_384 - 24
    expect(parseQuoteResponse(answer({ quote: new Uint8Array(room) })).quote).toHaveLength(room)
    expect(() => parseQuoteResponse(answer({ quote: new Uint8Array(room + 1) }))).toThrow('16384')
  })

  it('any bytes are an answer or malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(400), (junk, cut) => {
        for (const bytes of [junk, concatBytes(answer().subarray(0, cut), junk)]) {
          try {
            parseQuoteResponse(bytes)
          } catch (error) {
            expect(error).toMatchObject({ code: 'MALFORMED' })
          }
        }
      }),
    )
  })
})

const systemError = (code: string, syscall: string) => Object.assign(new Error(code), { code, syscall })

function guest(more: Partial<TdxGuestDevice> = {}): TdxGuestDevice {
  return { report: async () => report, exchange: async () => ({ status: 0n, answer: answer() }), ...more }
}
const service = (exchange: QuoteService['exchange']): QuoteService => ({ exchange })
const failing = (error: unknown) => async () => {
  throw error
}

describe('a quote over vsock', () => {
  it('is asked for with the report over the report data', async () => {
    const asked: Uint8Array[] = []
    const device = guest({
      report: async (data) => {
        asked.push(data)
        return report
      },
    })
    const path = createVsockQuotePath(
      device,
      service(async (message) => {
        asked.push(message)
        return answer()
      }),
    )
    expect(await path.attempt(reportData, never)).toEqual({ kind: 'quote', quote })
    expect(asked).toEqual([reportData, encodeQuoteRequest(report)])
    expect(path.name).toBe('vsock-qgs')
  })

  it.each<[string, TdxGuestDevice | null, QuoteService | null, string]>([
    ['no port', guest(), null, 'quote_path_unavailable'],
    ['no device', null, service(async () => answer()), 'quote_path_unavailable'],
    [
      'a device that is not there',
      guest({ report: failing(systemError('ENOENT', 'open')) }),
      service(async () => answer()),
      'quote_path_unavailable',
    ],
    [
      'a device that may not be opened',
      guest({ report: failing(systemError('EACCES', 'open')) }),
      service(async () => answer()),
      'tsm_permission',
    ],
    ['nobody who listens', guest(), service(failing(systemError('ECONNRESET', 'connect'))), 'quote_path_unavailable'],
    ...['ENODEV', 'ENXIO', 'ENOTTY', 'ECONNREFUSED'].map((errno): [string, TdxGuestDevice, QuoteService, string] => [
      errno,
      guest(),
      service(failing(systemError(errno, 'connect'))),
      'quote_path_unavailable',
    ]),
    ['no vsock', guest(), service(failing(systemError('EAFNOSUPPORT', 'socket'))), 'quote_path_unavailable'],
    ['a silent host', guest(), service(failing(systemError('ETIMEDOUT', 'read'))), 'quote_host_error'],
    ['an error of the service', guest(), service(async () => answer({ error: 0x12001 })), 'quote_host_error'],
    ['an empty quote', guest(), service(async () => answer({ quote: new Uint8Array() })), 'quote_empty'],
    ['an answer that is none', guest(), service(async () => new Uint8Array(3)), 'quote_host_error'],
  ])('with %s is left to the next path: %s %s %s', async (_what, device, peer, code) => {
    const outcome = await createVsockQuotePath(device, peer).attempt(reportData, never)
    expect(outcome).toMatchObject({ kind: 'next', error: { code } })
  })

  it('lets a bug pass, and heeds its signal between the steps', async () => {
    const bug = new RangeError('a bug')
    await expect(createVsockQuotePath(guest(), service(failing(bug))).attempt(reportData, never)).rejects.toBe(bug)
    const gone = AbortSignal.abort(new Error('gone'))
    const path = createVsockQuotePath(guest(), service(failing(bug)))
    await expect(path.attempt(reportData, gone)).rejects.toThrow('gone')
  })
})

describe('a quote by hypercall', () => {
  it('is in the block that comes back', async () => {
    const path = createTdvmcallQuotePath(guest())
    expect(await path.attempt(reportData, never)).toEqual({ kind: 'quote', quote })
    expect(path.name).toBe('tdvmcall')
  })

  it.each<[string, TdxGuestDevice | null, string]>([
    ['no device', null, 'quote_path_unavailable'],
    [
      'a driver without the request',
      guest({ exchange: failing(systemError('ENOTTY', 'ioctl')) }),
      'quote_path_unavailable',
    ],
    [
      'a request in flight',
      guest({ exchange: async () => ({ status: 0xffff_ffff_ffff_ffffn, answer: answer() }) }),
      'quote_host_busy',
    ],
    [
      'no service',
      guest({ exchange: async () => ({ status: 0x8000_0000_0000_0001n, answer: answer() }) }),
      'quote_path_unavailable',
    ],
    [
      'another status',
      guest({ exchange: async () => ({ status: 0x8000_0000_0000_0000n, answer: answer() }) }),
      'quote_host_error',
    ],
    [
      'an error of the service',
      guest({ exchange: async () => ({ status: 0n, answer: answer({ error: 1 }) }) }),
      'quote_host_error',
    ],
    ['no answer', guest({ exchange: async () => ({ status: 0n, answer: new Uint8Array() }) }), 'quote_host_error'],
  ])('with %s is left to the next path: %s %s', async (_what, device, code) => {
    const outcome = await createTdvmcallQuotePath(device).attempt(reportData, never)
    expect(outcome).toMatchObject({ kind: 'next', error: { code } })
  })

  it('fits its block of 16 KiB, to the byte (NAT-73)', async () => {
    const room = 16_384 - 28 - 24
    const holding = (size: number) =>
      createTdvmcallQuotePath(
        guest({ exchange: async () => ({ status: 0n, answer: answer({ quote: new Uint8Array(size) }) }) }),
      )
    expect((await holding(room).attempt(reportData, never)).kind).toBe('quote')
    expect((await holding(room + 1).attempt(reportData, never)).kind).toBe('next')
  })
})
