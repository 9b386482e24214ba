import { toBase64url } from '../base/bytes.ts'
import type { FairTurns } from '../base/fair-turns.ts'
import type { JsonObject } from '../base/json.ts'
import { deriveReportData, deriveTpmQualifyingData } from '../evidence/binding.ts'
import type { TdxEvidence } from '../evidence/tdx/evidence.ts'
import { tpmEvidenceLimits } from '../evidence/tpm/evidence-json.ts'
import { invalidRequest, workloadApiErrors } from '../workload-api/errors.ts'
import type { EvidenceCollector, EvidenceDemand, EvidenceRequest } from '../workload-api/evidence-collector.ts'
import type { Appraiser } from './embedded/appraiser.ts'
import type { QuotedEvidence } from './embedded/guest.ts'
import { queueFull } from './embedded/queue-full.ts'
import { agentErrors } from './errors.ts'
import { nonceSeed } from './evidence-binding.ts'
import type { GuestWiring } from './wiring/guest.ts'

export interface WorkloadEvidenceParts {
  readonly guest: Pick<GuestWiring, 'tpm' | 'watchedTd'>
  readonly appraiser: Pick<Appraiser, 'fixContainer' | 'encodeDocument'>
  /** Evidence is collected in turns with that of tokens: a document can have tens of megabytes. */
  readonly turns: FairTurns
}

/** What goes into one document. */
interface Plan {
  readonly td: boolean
  readonly tpm: boolean
  /** `if-there`: nobody named devices, and a kernel without IMA has nothing to say. */
  readonly ima: 'required' | 'if-there' | 'none'
}

const known = ['tdx', 'tpm', 'ima', 'gpu']

/** Nothing that was asked for is left out, and nothing stands in for it (section 6.2). */
function requirePresent(wanted: readonly string[], { tpm, watchedTd }: WorkloadEvidenceParts['guest']): void {
  const present = new Set([...(watchedTd ? ['tdx'] : []), ...(tpm ? ['tpm', 'ima'] : [])])
  const missing = known.filter((device) => wanted.includes(device) && !present.has(device))
  if (missing.length > 0) throw notThere(missing)
}

function notThere(missing: readonly string[]): Error {
  const devices = missing.join(',')
  return workloadApiErrors.error('not_supported', `this machine has no ${missing.join(', ')}`, { facts: { devices } })
}

function planOf({ devices }: EvidenceRequest, guest: WorkloadEvidenceParts['guest']): Plan {
  if (devices === null) return { td: guest.watchedTd !== null, tpm: guest.tpm !== null, ima: 'if-there' }
  requirePresent(devices, guest)
  const [td, tpm, ima] = ['tdx', 'tpm', 'ima'].map((device) => devices.includes(device))
  if (ima && !tpm) throw invalidRequest('devices', 'names ima without the tpm that signs for it')
  return { td: td === true, tpm: tpm === true, ima: ima ? 'required' : 'none' }
}

/**
 * Caller-chosen bytes go into the report data of a TD and nowhere else: qualifying data of a TPM has no tag that would
 * set ours apart, so that a caller could have it sign for a token of somebody else (API-66).
 */
function requireTdAlone({ td, tpm }: Plan): void {
  if (!td) throw workloadApiErrors.error('not_supported', 'profile raw is for the report data of a TD')
  if (tpm) throw invalidRequest('devices', 'must be ["tdx"] for profile raw: report data of a caller covers no device')
}

const reportDataSize = 64

/** BRK-96: such report data proves nothing to anybody. */
function rawReportData(challenge: Uint8Array): Uint8Array {
  const padded = new Uint8Array(reportDataSize)
  padded.set(challenge)
  if (padded.some((byte) => byte !== padded[0])) return padded
  throw invalidRequest('challenge', 'repeats one byte: such report data proves nothing')
}

/** What whoever verifies derives report data and qualifying data from (BRK-91); it never trusts a digest (BRK-93). */
function transcriptOf({ challenge, verifier, profile }: EvidenceRequest): JsonObject {
  if (profile === 'raw') return { profile }
  const inputs = { purpose: 'evidence', verifier: verifier ?? '', challenge: toBase64url(challenge) }
  return { profile, ...inputs, root: toBase64url(new Uint8Array(32)), size: 0, key: '' }
}

/**
 * Characters of documents that may wait to be read before the next one is collected, in all and of one caller. Each is in
 * memory twice, as text and as what the socket takes, and one more of any size may come on top: the agent has 256 MB.
 */
const mostUnread = { all: 16 << 20, caller: 8 << 20 }
/** Whoever does not read at all loses its connection after some seconds (API-22). */
const unreadMs = 2_000

/**
 * Documents that callers have not taken yet. With an IMA log that is long each has tens of megabytes, so that a caller who
 * asks and does not read would fill the memory of the agent.
 */
class UnreadDocuments {
  readonly #sizes = new Map<string, number>()
  #all = 0

  requireRoom(caller: string): void {
    if (this.#all <= mostUnread.all && (this.#sizes.get(caller) ?? 0) <= mostUnread.caller) return
    throw queueFull('documents that were asked for before have not been read yet', unreadMs)
  }

  hold(size: number, { caller, left }: EvidenceDemand): void {
    this.#count(caller, size)
    const gone = () => this.#count(caller, -size)
    left.then(gone, gone)
  }

  #count(caller: string, size: number): void {
    const unread = (this.#sizes.get(caller) ?? 0) + size
    if (unread > 0) this.#sizes.set(caller, unread)
    else this.#sizes.delete(caller)
    this.#all += size
  }
}

class WorkloadEvidence {
  #parts: WorkloadEvidenceParts
  #unread = new UnreadDocuments()
  #hasKey = false

  constructor(parts: WorkloadEvidenceParts) {
    this.#parts = parts
  }

  async collect(request: EvidenceRequest, demand: EvidenceDemand, signal: AbortSignal): Promise<string> {
    const plan = planOf(request, this.#parts.guest)
    if (request.profile === 'raw') requireTdAlone(plan)
    const raw = request.profile === 'raw' ? rawReportData(request.challenge) : null
    const transcript = transcriptOf(request)
    const collect = async () => {
      this.#unread.requireRoom(demand.caller)
      const collecting =
        raw === null ? this.#bound(request, plan, transcript, signal) : this.#raw(raw, transcript, signal)
      const document = await collecting
      this.#unread.hold(document.length, demand)
      return document
    }
    this.#unread.requireRoom(demand.caller)
    const standing = { caller: demand.caller, background: false }
    const waitMs = this.#parts.turns.expectedWaitMs(standing)
    if (waitMs > demand.timeoutMs)
      throw queueFull('what waits already takes longer than the time that is granted', waitMs)
    return this.#parts.turns.take(collect, signal, standing)
  }

  async #raw(runtimeData: Uint8Array, transcript: JsonObject, signal: AbortSignal): Promise<string> {
    const tdx = await this.#quoteTd(runtimeData, signal)
    return this.#parts.appraiser.encodeDocument({ evidence: { tdx, tpm: null }, runtimeData, transcript })
  }

  /** Devices first, so that the TD quote covers what they said (BRK-92). */
  async #bound(
    { challenge, verifier }: EvidenceRequest,
    plan: Plan,
    transcript: JsonObject,
    signal: AbortSignal,
  ): Promise<string> {
    const { appraiser } = this.#parts
    const seed = nonceSeed(challenge, verifier ?? '')
    const qualifyingData = deriveTpmQualifyingData(seed)
    const quoted = plan.tpm ? await this.#quoteTpm(qualifyingData, plan.ima, signal) : null
    if (!plan.td) {
      const evidence = { tdx: null, tpm: quoted && { evidence: quoted, container: null } }
      return appraiser.encodeDocument({ evidence, runtimeData: qualifyingData, transcript })
    }
    const fixed = quoted && (await appraiser.fixContainer(quoted))
    const runtimeData = deriveReportData(seed, fixed?.devices ?? new Uint8Array())
    const tdx = await this.#quoteTd(runtimeData, signal)
    return appraiser.encodeDocument({ evidence: { tdx, tpm: fixed?.part ?? null }, runtimeData, transcript })
  }

  async #quoteTd(reportData: Uint8Array, signal: AbortSignal): Promise<TdxEvidence> {
    const { watchedTd } = this.#parts.guest
    if (watchedTd === null) throw new TypeError('a TD was planned and is not there')
    const { quote, ccEventLog, simulated } = await watchedTd.collect(reportData, signal)
    return { quote, ccEventLog, simulated }
  }

  async #quoteTpm(qualifyingData: Uint8Array, ima: Plan['ima'], signal: AbortSignal): Promise<QuotedEvidence> {
    const { tpm } = this.#parts.guest
    if (tpm === null) throw new TypeError('a TPM was planned and is not there')
    // The first token makes the key; evidence may be asked for before it.
    if (!this.#hasKey) await tpm.attester.identity({}, signal)
    this.#hasKey = true
    const extent = { imaFrom: ima === 'none' ? null : 0, imaMost: tpmEvidenceLimits.ima }
    const evidence = await tpm.attester.collect(qualifyingData, extent, signal)
    if (ima === 'required' && evidence.ima === null) throw notThere(['ima'])
    if (!evidence.imaContinues) return evidence
    // Who verifies a document knows nothing of parts that were sent before it (IMA-24).
    throw agentErrors.error('EVIDENCE_TOO_LARGE', `the IMA log has more than ${tpmEvidenceLimits.ima} bytes`)
  }
}

/** What answers `POST /v1/evidence` and the surfaces that are like it (workload-api.md 6.2, BRK-90 to BRK-96). */
export function createEvidenceCollector(parts: WorkloadEvidenceParts): EvidenceCollector {
  const evidence = new WorkloadEvidence(parts)
  return (request, demand, signal) => evidence.collect(request, demand, signal)
}
