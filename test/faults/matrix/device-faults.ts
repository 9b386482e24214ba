import { parseQuote, reportDataOf } from '../../../src/evidence/tdx/quote.ts'
import { runToEnd, tdxGuestRig } from '../../support/tdx-guest-rig.ts'
import type { Probe, SimulatedFault } from './fault.ts'

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const others = new Uint8Array(64).fill(0xee)
type Rig = ReturnType<typeof tdxGuestRig>

async function quote(probe: Probe, rig: Rig): Promise<{ code: string; tookMs: number }> {
  const { value, error, tookMs } = await runToEnd(rig.clock, rig.attester.collect(reportData))
  const left = await rig.kernel.files.list()
  probe.expect(left.length === 0, 'an entry was left in the report folder')
  if (value === undefined) return { code: String((error as { code?: string }).code), tookMs }
  if (Buffer.compare(reportDataOf(parseQuote(value.quote)), reportData) !== 0) probe.wrong++
  return { code: 'quote', tookMs }
}

async function answers(probe: Probe, what: string, expected: readonly string[], prepare: (rig: Rig) => void) {
  const rig = tdxGuestRig()
  prepare(rig)
  const { code } = await quote(probe, rig)
  probe.expect(expected.includes(code), `${what}: ${code}`)
}

async function slowQuotes(probe: Probe): Promise<void> {
  for (const ms of [1_000, 10_000]) {
    const rig = tdxGuestRig()
    rig.kernel.files.quoteDelayMs = ms
    const { code, tookMs } = await quote(probe, rig)
    probe.expect(code === 'quote' && tookMs <= ms + 100, `a quote of ${ms} ms: ${code} after ${tookMs} ms`)
  }
}

async function stuckQuote(probe: Probe): Promise<void> {
  const rig = tdxGuestRig()
  rig.kernel.files.quoteDelayMs = 60_000
  const waiting = rig.attester.collect(reportData)
  const { error, tookMs } = await runToEnd(rig.clock, waiting)
  probe.expect(error !== undefined && tookMs <= 35_100, `a stuck quote was waited for ${tookMs} ms`)
  probe.expect(rig.attester.state().stuck, 'a stuck quote is not told')
  const second = rig.attester.collect(others)
  second.catch(() => undefined)
  await rig.clock.advance(1_000)
  probe.expect((await rig.kernel.files.list()).length <= 1, 'a second quote began while the first was stuck')
  rig.kernel.files.quoteDelayMs = 10
  await rig.clock.advance(60_000)
  const { code } = await quote(probe, rig)
  probe.expect(code === 'quote' && !rig.attester.state().stuck, `after a stuck quote: ${code}`)
}

async function devices(probe: Probe): Promise<void> {
  await slowQuotes(probe)
  await stuckQuote(probe)
  await answers(probe, 'EBUSY', ['quote'], ({ kernel }) => kernel.faults.inject('outblob', 'EBUSY', 'EBUSY'))
  await answers(probe, 'an empty quote', ['quote_empty'], ({ kernel }) => {
    kernel.emptyQuotes = 100
  })
  await answers(probe, 'another writes once', ['quote'], ({ kernel }) => {
    let times = 1
    kernel.files.interference = (name) => times-- > 0 && kernel.files.overwrite(name, others)
  })
  await answers(probe, 'another writes always', ['tsm_conflict'], ({ kernel }) => {
    kernel.files.interference = (name) => kernel.files.overwrite(name, others)
  })
  await answers(probe, 'other report data', ['quote_echo_mismatch'], (rig) => {
    const { files } = rig.kernel
    const honest = files.writeOnce.bind(files)
    files.writeOnce = (name, attribute, bytes) => honest(name, attribute, attribute === 'inblob' ? others : bytes)
  })
}

export const deviceFaults: readonly SimulatedFault[] = [
  {
    id: 'F16',
    fault: 'quote 1 s, 10 s, stuck, EBUSY, empty, wrong report data, generation mismatch',
    done: 'slow ones are waited for; after 35 s the device is stuck and no second quote begins; busy is tried again; the others are errors and never a quote over other data; no entry is left',
    run: devices,
  },
]
