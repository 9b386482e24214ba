import { randomBytes } from 'node:crypto'
import pino from 'pino'
import { configurationSchema } from '../../src/agent/configuration/schema.ts'
import { acceptOwnToken } from '../../src/agent/embedded/accept-own-token.ts'
import type { AppraisalPolicies } from '../../src/agent/embedded/appraisal-policies.ts'
import type { Appraiser } from '../../src/agent/embedded/appraiser.ts'
import { BatchLedger } from '../../src/agent/embedded/batch-ledger.ts'
import { reportedPolicies } from '../../src/agent/embedded/builtin-policy.ts'
import { bundleInputOf } from '../../src/agent/embedded/bundle-input.ts'
import { BundleLane } from '../../src/agent/embedded/bundle-lane.ts'
import { createEmbeddedSource } from '../../src/agent/embedded/embedded-source.ts'
import { createEnrolments, type EnrolmentParts } from '../../src/agent/embedded/enrolments.ts'
import type { EncodedDocument, FixedTpm, JudgedGuest, JudgedTd } from '../../src/agent/embedded/evidence-tasks.ts'
import type { ImaRecords } from '../../src/agent/embedded/guest.ts'
import { type ImaStart, imaPartBytes } from '../../src/agent/embedded/ima-parts.ts'
import { LastAppraisals } from '../../src/agent/embedded/last-appraisal.ts'
import { performTask } from '../../src/agent/embedded/perform-task.ts'
import { PolicyJudge } from '../../src/agent/embedded/policy-judge.ts'
import { queueFull } from '../../src/agent/embedded/queue-full.ts'
import type { Settings } from '../../src/agent/wiring/settings.ts'
import type { EkTrust } from '../../src/agent/wiring/trust-files.ts'
import type { TpmAttester } from '../../src/attester/tpm/tpm-attester.ts'
import { concatBytes } from '../../src/base/bytes.ts'
import type { Clock } from '../../src/base/clock.ts'
import { FairTurns } from '../../src/base/fair-turns.ts'
import { anchorOf } from '../../src/base/pki/trust-anchor.ts'
import { abandonable } from '../../src/base/tasks.ts'
import type { TpmEvidence } from '../../src/evidence/tpm/evidence.ts'
import { encodeSizedPublic, nameOf } from '../../src/evidence/tpm/public-area.ts'
import { MaaJudge } from '../../src/issuer/azure/maa-judge.ts'
import { Challenges } from '../../src/issuer/challenges.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import type { TpmReferences } from '../../src/reference-values/tpm-references.ts'
import { MemoryStore } from '../../src/registry/memory-store.ts'
import type { RegistryStore } from '../../src/registry/registry-store.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'
import type { TpmRequirements } from '../../src/verifier/index.ts'
import { certifyEk, ekAuthority, maker } from './enrolling-tpm.ts'
import { FakeClock } from './fake-clock.ts'
import { rsaKey, simpleIssuer, simplePolicies } from './issuing.ts'
import { openCredential } from './open-credential.ts'
import { type SoftwareKey, SoftwareTpm } from './software-tpm.ts'
import { type CertificateSpec, testNow } from './test-ca.ts'

const never = new AbortController().signal

/** On the calling thread: sources run as they are, without a build. */
export const directAppraiser: Appraiser = {
  appraise: async (evidence, inputs, question) =>
    performTask(
      { do: 'appraise', evidence, inputs, ...(question ? { question } : {}) },
      { policies: new PolicyJudge(), bundleInputOf },
    ) as JudgedGuest,
  appraiseTd: async (evidence, inputs, question) =>
    performTask(
      { do: 'appraiseTd', evidence, inputs, ...(question ? { question } : {}) },
      { policies: new PolicyJudge(), bundleInputOf },
    ) as JudgedTd,
  judgeMaa: async (question) => new MaaJudge().judge(question),
  fixContainer: async (evidence) => performTask({ do: 'fixContainer', evidence }) as FixedTpm,
  stageImaPart: async (part, inputs) => performTask({ do: 'stageImaPart', part, inputs }) as ImaStart | null,
  encodeDocument: async (parts) => {
    const encoded = performTask({ do: 'encodeDocument', ...parts }) as EncodedDocument
    if ('document' in encoded) return encoded.document
    throw new Error(encoded.tooLarge)
  },
  [Symbol.asyncDispose]: async () => {},
}

/** Turns on a device, as the agent gives them. */
export function testTurns(clock: FakeClock): FairTurns {
  return new FairTurns({ clock, capacity: 64, refuse: (waitMs) => queueFull('64 jobs wait', waitMs) })
}

export function testBundles(clock: Pick<Clock, 'monotonic'>): BundleLane {
  return new BundleLane({ clock, capacity: 64, refuse: (waitMs) => queueFull('64 evaluations wait', waitMs) })
}

export const embeddedIssuer = 'https://verifier.example'

/** What came to the attester, in order. */
export type AttesterCall = 'identity' | 'activate' | 'selection' | 'collect'

export interface MachineOptions {
  readonly simulator?: boolean
  /** What the attester says of its TPM. */
  readonly simulated?: boolean
  readonly trust?: Partial<EkTrust>
  /** Members of the section `verifier` of the configuration. */
  readonly verifier?: Readonly<Record<string, unknown>>
  readonly requirements?: Partial<TpmRequirements>
  readonly certificate?: Partial<CertificateSpec>
  /** Default: a new one. */
  readonly tpm?: SoftwareTpm
}

/**
 * A TPM that is played in this process, with an EK certificate of `maker`, as the bundled verifier meets it. `change`
 * edits the evidence on its way; `ak` is the key that the attester holds now.
 */
export class EmbeddedMachine {
  readonly clock = new FakeClock(testNow)
  readonly appraisals = new LastAppraisals()
  readonly ledger = new BatchLedger(this.clock)
  readonly calls: AttesterCall[] = []
  /** What was given of the IMA log, in order. */
  readonly sent: { readonly from: number; readonly records: number }[] = []
  /** Of the sources that are made from now on. */
  references: TpmReferences | null = null
  /** Likewise. */
  policies: AppraisalPolicies | null = null
  /** In place of the size of a part of the IMA log, in bytes; who asks for more than a part gets it. */
  longestPart = Infinity
  /** Records at the end of the IMA log that no PCR knows of. */
  forged: readonly Uint8Array[] = []
  onImaRead: (from: number) => void = () => undefined
  /** First records of the IMA log that its kernel has thrown away (IMA-21). */
  trimmed = 0
  /** What happens between a quote and the reading of the log. */
  afterQuote: () => void = () => undefined
  /** The qualifying data of every quote, in order. */
  readonly quoted: Uint8Array[] = []
  tpm: SoftwareTpm
  change: (evidence: TpmEvidence) => TpmEvidence | Promise<TpmEvidence> = (evidence) => evidence
  /** Comes to every call of the attester first, and may fail it or hold it. */
  hook: (call: AttesterCall) => void | Promise<void> = () => undefined
  readonly #ended = new AbortController()
  #options: MachineOptions
  #store: RegistryStore = new MemoryStore()
  #turns = testTurns(this.clock)
  #bundles = testBundles(this.clock)
  #certificates = new Map<SoftwareKey, Uint8Array>()

  constructor(options: MachineOptions = {}) {
    this.#options = options
    this.tpm = options.tpm ?? new SoftwareTpm()
  }

  /** Another AK under the same EK, as after the state of the attester was lost. */
  loseKey(): void {
    const { ek, counters } = this.tpm
    this.tpm = new SoftwareTpm({ ek })
    this.tpm.counters = counters
  }

  /** The memory of the verifier is gone, or another one. */
  useStore(store: RegistryStore = new MemoryStore()): void {
    this.#store = store
  }

  get store(): RegistryStore {
    return this.#store
  }

  replaceTpm(): void {
    const { counters } = this.tpm
    this.tpm = new SoftwareTpm()
    this.tpm.counters = counters
  }

  async sourceAndKeys() {
    const { simulator = false } = this.#options
    const { clock, appraisals } = this
    const keys = await openKeyRing({
      purpose: 'id-token',
      store: 'ephemeral',
      algorithms: ['RS256'],
      clock,
      initialKeys: [rsaKey()],
    })
    const { policies } = this
    const guest = {
      tpm: {
        attester: this.#attester(),
        enrolments: createEnrolments(this.enrolmentParts()),
        requirements: { ...this.tpm.inputs(new Uint8Array(32)).requirements, ...this.#options.requirements },
        references: this.references,
        simulator,
      },
      td: null,
    }
    const own = {
      ...{ issuer: embeddedIssuer, jwks: () => keys.jwks(), simulator, clock },
      ...{ tee: 'tpm' as const, tcbStatuses: null, allowDebug: false },
      reported: (request: TokenRequest) => reportedPolicies(guest, policies, request),
    }
    const source = createEmbeddedSource({
      name: 'local',
      generation: 1,
      issuerUrl: embeddedIssuer,
      usualLifetimeS: 900,
      guest,
      policies,
      bundles: this.#bundles,
      appraiser: directAppraiser,
      challenges: new Challenges({ clock, random: randomBytes, capacity: 4 }),
      issuer: simpleIssuer(embeddedIssuer, keys, clock),
      audiences: simplePolicies(embeddedIssuer),
      acceptToken: (token, request) => acceptOwnToken(token, request, own),
      appraisals,
      turns: this.#turns,
      ledger: this.ledger,
      clock,
      random: randomBytes,
    })
    return { source, keys, own }
  }

  enrolmentParts(): EnrolmentParts {
    const { simulator = false, trust = {}, verifier = {} } = this.#options
    const configuration = configurationSchema.parse({ issuer: { url: embeddedIssuer }, tpm: { simulator }, verifier })
    const settings = {
      configuration,
      trust: { anchors: [anchorOf(maker.certificate, 'example')], intermediates: [], crls: [], ...trust },
    } as unknown as Settings
    return {
      attester: this.#attester() as unknown as TpmAttester,
      store: this.#store,
      settings,
      clock: this.clock,
      random: randomBytes,
      appraisals: this.appraisals,
      log: pino({ level: 'silent' }),
      ended: this.#ended.signal,
    }
  }

  /** As when the agent stops. */
  end(): void {
    this.#ended.abort(new Error('the agent stops'))
  }

  #certificate(): Uint8Array {
    const { ek } = this.tpm
    const certificate = this.#certificates.get(ek) ?? certifyEk(ek, this.#options.certificate)
    this.#certificates.set(ek, certificate)
    return certificate
  }

  async #called(call: AttesterCall, signal = never): Promise<void> {
    this.calls.push(call)
    await abandonable(Promise.resolve(this.hook(call)), signal)
  }

  /** Records of the log as the kernel would give them: whole, and from the beginning where there are not as many. */
  #imaFrom(from: number, asked: number): ImaRecords {
    const most = asked > imaPartBytes ? asked : Math.min(asked, this.longestPart)
    this.onImaRead(from)
    const records = [...this.tpm.imaRecords().slice(this.trimmed), ...this.forged]
    const start = from <= records.length ? from : 0
    let [end, size] = [start, 0]
    while (end < records.length && (end === start || size + (records[end]?.length ?? 0) <= most)) {
      size += records[end]?.length ?? 0
      end++
    }
    this.sent.push({ from: start, records: end - start })
    const data = concatBytes(...records.slice(start, end))
    return { from: start, column: 'sha1', data, continues: end < records.length }
  }

  #attester(): Pick<TpmAttester, 'identity' | 'activate' | 'selection' | 'collect' | 'readIma'> {
    const simulated = this.#options.simulated ?? false
    return {
      identity: async ({ renewKey = false } = {}) => {
        await this.#called('identity')
        if (renewKey) this.loseKey()
        const { ek, ak } = this.tpm
        const chain = [ekAuthority.certificate.der]
        const shown = { name: nameOf(ek.area), publicArea: encodeSizedPublic(ek.area) }
        return {
          ek: { ...shown, certificate: this.#certificate(), chain, template: null, nvIndex: null } as never,
          ak: { publicArea: encodeSizedPublic(ak.area), name: nameOf(ak.area), isNew: false },
          simulated,
        }
      },
      activate: async (idObject, encryptedSecret, signal) => {
        await this.#called('activate', signal)
        const { ek, akName } = this.tpm
        return openCredential(ek.area, ek.privateKey, akName, { idObject, encryptedSecret })
      },
      selection: async () => {
        await this.#called('selection')
        return SoftwareTpm.defaultSelection
      },
      collect: async (qualifyingData, { selection = SoftwareTpm.defaultSelection, ...extent } = {}, signal) => {
        await this.#called('collect', signal)
        this.quoted.push(qualifyingData)
        const evidence = this.tpm.evidence(qualifyingData, { selection, ima: null })
        this.afterQuote()
        const { continues, ...ima } = this.#imaFrom(extent.imaFrom ?? 0, extent.imaMost ?? Infinity)
        return { ...(await this.change({ ...evidence, ima, simulated })), imaContinues: continues }
      },
      readIma: async (from, most) => this.#imaFrom(from, most),
    }
  }
}

export function embeddedRequest(change: Partial<TokenRequest> = {}): TokenRequest {
  const plain = { nonces: [], ttlS: null, policyIds: [], cnf: null, fresh: false }
  return { issuer: 'local', tokenType: 'OIDC', audience: ['https://rp.example'], ...plain, ...change }
}
