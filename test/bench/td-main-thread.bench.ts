import { randomBytes } from 'node:crypto'
import { platformOfQuote } from '../../src/agent/quote-platform.ts'
import { digestDevices } from '../../src/evidence/binding.ts'
import { devicesOf, encodeComposite, type GuestEvidence, tpmPartOf } from '../../src/evidence/composite.ts'
import { parseCcEventLog } from '../../src/evidence/tdx/cc-event-log.ts'
import { appraiseGuest, matchRtmrs, replayCcEventLog } from '../../src/verifier/index.ts'
import { encodeCcEventLog } from '../support/cc-event-logs.ts'
import { compare, comparison } from '../support/comparison.ts'
import { encodeEventLog, encodeImaLog, evEfiAction, imaNgData } from '../support/measured-logs.ts'
import { SimulatedGuest } from '../support/simulated-guest.ts'

const random = (size: number) => new Uint8Array(randomBytes(size))

interface LogSizes {
  readonly ccEvents: number
  readonly tpmEvents: number
  readonly imaRecords: number
}

/** Evidence of a TD beside a TPM as an agent holds it, with logs of these sizes that no register vouches for. */
function evidenceOf(guest: SimulatedGuest, sizes: LogSizes) {
  const data = imaNgData('/usr/lib/x86_64-linux-gnu/libsomething.so.1.2.3', random(32))
  const ima = encodeImaLog(10, new Array<Uint8Array>(sizes.imaRecords).fill(data))
  const events = Array.from({ length: sizes.tpmEvents }, (_, at) => ({
    pcr: at % 8,
    type: evEfiAction,
    data: random(180),
  }))
  const eventLog = encodeEventLog(events, ['sha1', 'sha256', 'sha384'])
  const tpm = { ...guest.tpm.evidence(random(32)), eventLog }
  const evidence = { ...tpm, ima: tpm.ima && { ...tpm.ima, data: ima } }
  const tdx = { ...guest.tdEvidence(random(64)), ccEventLog: encodeCcEventLog(sizes.ccEvents, 180) }
  return { evidence, tdx, bytes: ima.length + eventLog.length + tdx.ccEventLog.length }
}

/** What the agent does on the thread that answers its callers; the appraisal itself is on another one. */
async function compareWork(title: string, sizes: LogSizes): Promise<void> {
  const guest = new SimulatedGuest()
  const { evidence, tdx, bytes } = evidenceOf(guest, sizes)
  const tpm = tpmPartOf(evidence)
  const whole: GuestEvidence = { tdx, tpm }
  const inputs = guest.inputs(random(48))
  const appraisal = appraiseGuest(whole, inputs)
  const rtmrs = [random(48), random(48), random(48), random(48)] as const
  await compare(
    `${title}: ${bytes} bytes of logs`,
    [
      {
        name: 'one JSON text of these bytes in base64',
        role: 'floor',
        run: () => JSON.stringify(Buffer.from(tpm.container).toString('base64')),
      },
      { name: 'bytes of the TPM container', role: 'ours', run: () => tpmPartOf(evidence) },
      { name: 'digest of it for the report data', role: 'ours', run: () => digestDevices(devicesOf(whole)) },
      {
        name: 'event log of the TD beside its registers',
        role: 'ours',
        run: () => matchRtmrs(replayCcEventLog(parseCcEventLog(tdx.ccEventLog)), rtmrs),
      },
      { name: 'platform of the quote', role: 'ours', run: () => platformOfQuote(tdx.quote) },
      {
        name: 'evidence to the appraisal thread',
        role: 'ours',
        run: () => structuredClone({ id: 1, evidence: whole, inputs }),
      },
      { name: 'appraisal from the appraisal thread', role: 'ours', run: () => structuredClone({ id: 1, appraisal }) },
      { name: 'composite as JSON', role: 'ours', run: () => JSON.stringify(encodeComposite(tdx, tpm)) },
    ],
    { ms: 3000, warmUp: 5 },
  )
}

comparison('usual logs', () =>
  compareWork('a guest after its start', { ccEvents: 150, tpmEvents: 160, imaRecords: 600 }),
)
comparison('long logs', () =>
  compareWork('a guest after months', { ccEvents: 1_000, tpmEvents: 300, imaRecords: 100_000 }),
)
