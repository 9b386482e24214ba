import { describe, expect, it } from 'vitest'
import { runToEnd, tdxGuestRig } from '../../../test/support/tdx-guest-rig.ts'
import { attesterErrors } from '../errors.ts'
import type { QuoteOutcome, QuotePath, QuotePathName } from './quote-path.ts'
import { obtainQuote } from './quote-paths.ts'

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const never = new AbortController().signal

type Ending = QuoteOutcome | (() => Promise<QuoteOutcome>)

/** Paths that end as told, and which of them were asked. */
function paths(...endings: readonly (readonly [QuotePathName, Ending])[]) {
  const asked: QuotePathName[] = []
  const made: readonly QuotePath[] = endings.map(([name, ending]) => ({
    name,
    attempt: async () => {
      asked.push(name)
      return typeof ending === 'function' ? ending() : ending
    },
  }))
  return { asked, made }
}

const told = (kind: 'next' | 'failed', code: Parameters<typeof attesterErrors.error>[0]): QuoteOutcome => ({
  kind,
  error: attesterErrors.error(code, 'told'),
})

async function genuine(): Promise<Uint8Array> {
  const rig = tdxGuestRig()
  const { value } = await runToEnd(rig.clock, rig.path.attempt(reportData, never))
  if (value?.kind !== 'quote') throw new Error('no quote')
  return value.quote
}

describe('one path after another (TDX 1.2)', () => {
  it('until one has a quote, which is named with it (TDX-018)', async () => {
    const quote = await genuine()
    const { asked, made } = paths(
      ['configfs-tsm', told('next', 'quote_empty')],
      ['vsock-qgs', { kind: 'quote', quote }],
      ['tdvmcall', told('failed', 'quote_host_error')],
    )
    expect(await obtainQuote(made, reportData, never)).toMatchObject({ bytes: quote, path: 'vsock-qgs' })
    expect(asked).toEqual(['configfs-tsm', 'vsock-qgs'])
  })

  it('and none after one that no other can better (TDX-010)', async () => {
    const quote = await genuine()
    const { asked, made } = paths(
      ['configfs-tsm', told('failed', 'tsm_permission')],
      ['vsock-qgs', { kind: 'quote', quote }],
    )
    await expect(obtainQuote(made, reportData, never)).rejects.toMatchObject({ code: 'tsm_permission' })
    expect(asked).toEqual(['configfs-tsm'])
  })

  it.each([
    [['tsm_absent', 'quote_host_error', 'quote_path_unavailable'], 'quote_host_error'],
    [['tsm_no_provider', 'quote_path_unavailable', 'quote_empty'], 'quote_empty'],
    [['quote_empty', 'quote_host_error'], 'quote_empty'],
    [['tsm_absent', 'quote_path_unavailable'], 'tsm_absent'],
    [[], 'quote_path_unavailable'],
  ] as const)('of failures %j the most telling is %s', async (codes, code) => {
    const { made } = paths(...codes.map((each) => ['vsock-qgs', told('next', each)] as const))
    await expect(obtainQuote(made, reportData, never)).rejects.toMatchObject({ code })
  })

  it('takes no quote over other report data, nor bytes that are none, and asks nobody else (TDX-009)', async () => {
    const quote = await genuine()
    const other = Uint8Array.from(reportData)
    other[63] = 0
    for (const [bytes, wanted] of [
      [quote, other],
      [quote.subarray(0, 400), reportData],
    ] as const) {
      const { asked, made } = paths(
        ['vsock-qgs', { kind: 'quote', quote: bytes }],
        ['tdvmcall', { kind: 'quote', quote }],
      )
      await expect(obtainQuote(made, wanted, never)).rejects.toMatchObject({ code: 'quote_echo_mismatch' })
      expect(asked).toEqual(['vsock-qgs'])
    }
  })

  it('begins none when nobody waits any more', async () => {
    const given = new AbortController()
    const giveUp = async () => {
      given.abort('enough')
      return told('next', 'quote_empty')
    }
    const { asked, made } = paths(['configfs-tsm', giveUp], ['vsock-qgs', told('next', 'quote_empty')])
    await expect(obtainQuote(made, reportData, given.signal)).rejects.toBe('enough')
    expect(asked).toEqual(['configfs-tsm'])
  })
})
