import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EmbeddedMachine, embeddedRequest, type MachineOptions } from '../../../test/support/embedded-machine.ts'
import { makeSoftwareAk, makeSoftwareEk, SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { AttestdError } from '../../base/errors.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { appraiseTpm } from '../../verifier/index.ts'

const never = new AbortController().signal
const second = 1000

/** Made once: that takes longer than everything else. */
const keys = { ek: makeSoftwareEk(), ak: makeSoftwareAk() }

type Claims = Readonly<Record<string, never>> & { readonly ima: Readonly<Record<string, unknown>> }
const claimsOf = (token: string): Claims => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** A machine with an IMA log, and what its verifier was sent of it. */
class MeasuringMachine extends EmbeddedMachine {
  #source: Promise<Awaited<ReturnType<EmbeddedMachine['sourceAndKeys']>>>
  /** The whole log as it was when the last quote was read, beside that quote. */
  last: TpmEvidence | null = null

  constructor(options: MachineOptions = {}) {
    super({ tpm: new SoftwareTpm(keys), ...options })
    this.#source = this.sourceAndKeys()
    this.change = (evidence) => {
      this.last = { ...evidence, ima: this.tpm.imaLog() }
      return evidence
    }
  }

  /** As after a reload of the configuration. */
  reload(): void {
    this.#source = this.sourceAndKeys()
  }

  measure(files: number): void {
    for (let file = 0; file < files; file++) this.tpm.measureFile(`/usr/bin/${file}`)
  }

  /** Claims of a token, or what failed; and the parts of the log that were read for it: first record and records. */
  async attest(): Promise<{ claims: Claims | null; outcome: string; sent: readonly (readonly [number, number])[] }> {
    this.sent.length = 0
    const { source } = await this.#source
    const sent = () => this.sent.map(({ from, records }) => [from, records] as const)
    try {
      const claims = claimsOf(await source.obtainToken(embeddedRequest(), never))
      return { claims, outcome: 'issued', sent: sent() }
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      return { claims: null, outcome: `${error.code} ${error.facts['findings'] ?? ''}`.trim(), sent: sent() }
    }
  }

  async stored() {
    const [stored] = await this.store.list()
    if (stored === undefined) throw new Error('nothing is stored')
    return stored
  }
}

/** A new machine, whose log has three records more than those of its boot, attested once. */
async function attested(options: MachineOptions = {}) {
  const machine = new MeasuringMachine(options)
  machine.measure(3)
  expect(await machine.attest()).toMatchObject({
    outcome: 'issued',
    sent: [[0, 5]],
    claims: { ima: { entry_count: 5 } },
  })
  return machine
}

describe('the IMA log of a machine that attests again (IMA-10)', () => {
  it('is sent from where the last accepted one ended, and counted since the boot', async () => {
    const machine = await attested()
    machine.measure(2)
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      sent: [[5, 2]],
      claims: { ima: { entry_count: 7 } },
    })
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      sent: [[7, 0]],
      claims: { ima: { entry_count: 7 } },
    })
  })

  it('is whole at once after a reboot, whatever was sent first', async () => {
    const machine = await attested()
    machine.tpm.reboot()
    machine.measure(4)
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      sent: [
        [5, 1],
        [0, 6],
      ],
      claims: { tpm: { new_boot: true }, ima: { entry_count: 6 } },
    })
    machine.measure(1)
    expect((await machine.attest()).sent).toEqual([[6, 1]])
  })

  it('is whole after a reboot also where it is shorter than the last one', async () => {
    const machine = await attested()
    machine.tpm.reboot()
    expect(await machine.attest()).toMatchObject({ outcome: 'issued', claims: { ima: { entry_count: 2 } } })
  })

  it('is whole at once for another attestation key, and for a verifier that forgot', async () => {
    const machine = await attested()
    machine.useStore()
    machine.reload()
    expect(await machine.attest()).toMatchObject({ outcome: 'issued', sent: [[0, 5]] })
    machine.loseKey()
    machine.reload()
    expect(await machine.attest()).toMatchObject({ outcome: 'issued', sent: [[0, 2]] })
  })

  it('goes on after a reload, and after a restart with the same store', async () => {
    const machine = await attested()
    machine.reload()
    machine.measure(1)
    expect(await machine.attest()).toMatchObject({ outcome: 'issued', sent: [[5, 1]] })
  })

  it.each<[string, (checkpoint: Uint8Array) => Uint8Array | null]>([
    ['is damaged', (checkpoint) => checkpoint.subarray(1)],
    ['has another version', (checkpoint) => checkpoint.map((byte, at) => (at === 5 ? byte + 1 : byte))],
    ['is missing', () => null],
    ['is no checkpoint', () => Uint8Array.of(1, 2, 3)],
  ])('is whole where the checkpoint %s', async (_what, change) => {
    const machine = await attested()
    const { record, version } = await machine.stored()
    const checkpoint = change(record.checkpoint ?? new Uint8Array())
    await machine.store.commit([{ record: { ...record, checkpoint }, expected: version }])
    machine.measure(1)
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      sent: [[0, 6]],
      claims: { ima: { entry_count: 6 } },
    })
  })

  it('is whole once more where its running values were changed in the store', async () => {
    const machine = await attested()
    const { record, version } = await machine.stored()
    const value = machine.tpm.value('sha256', 10)
    const bytes = Buffer.from(record.checkpoint ?? [])
    const at = bytes.indexOf(value)
    expect(at).toBeGreaterThan(0)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await machine.store.commit([{ record: { ...record, checkpoint: new Uint8Array(bytes) }, expected: version }])
    machine.measure(1)
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      sent: [
        [5, 1],
        [0, 6],
      ],
    })
  })

  it('is refused after one more whole log where the kernel trimmed it, and the machine is not asked for ever', async () => {
    const machine = await attested()
    machine.trimmed = 3
    machine.measure(4)
    expect(await machine.attest()).toMatchObject({ outcome: expect.stringContaining('tpm.ima.replay') })
    expect(machine.calls.filter((call) => call === 'collect')).toHaveLength(3)
    machine.trimmed = 0
    expect(await machine.attest()).toMatchObject({ outcome: 'issued', claims: { ima: { entry_count: 9 } } })
  })

  it('that is optional and cannot be continued is still judged whole, and not passed over', async () => {
    const machine = await attested({ requirements: { ima: 'optional' } })
    machine.tpm.reboot()
    expect(await machine.attest()).toMatchObject({
      outcome: 'issued',
      claims: { ima: { verified: true, entry_count: 2 } },
    })
  })
})

describe('records that came between quote and log (IMA-09)', () => {
  it('are pending, and covered by the next quote', async () => {
    const machine = await attested()
    machine.afterQuote = () => machine.measure(2)
    expect(await machine.attest()).toMatchObject({
      sent: [[5, 2]],
      claims: { ima: { entry_count: 5, pending_count: 2 } },
    })
    machine.afterQuote = () => undefined
    expect(await machine.attest()).toMatchObject({
      sent: [[5, 2]],
      claims: { ima: { entry_count: 7, pending_count: 0 } },
    })
  })

  it('must be the same the next time: others are refused, however the log is sent', async () => {
    const machine = await attested()
    machine.forged = machine.tpm.imaRecords().slice(3)
    expect(await machine.attest()).toMatchObject({ claims: { ima: { entry_count: 5, pending_count: 2 } } })
    machine.forged = []
    machine.measure(2)
    expect((await machine.attest()).outcome).toBe('EVIDENCE_NOT_AFFIRMED tpm.ima.pending')
    expect(machine.calls.filter((call) => call === 'collect')).toHaveLength(3)
  })
})

describe('an IMA log in parts (IMA-24)', () => {
  it('is staged up to its last part, and covered as a whole by a quote that came after', async () => {
    const machine = new MeasuringMachine()
    machine.measure(18)
    machine.longestPart = 6 * (machine.tpm.imaRecords()[5]?.length ?? 0)
    const { claims, sent } = await machine.attest()
    expect(claims).toMatchObject({ ima: { entry_count: 20, verified: true } })
    // A quote too early; all parts; the last one again, behind a quote.
    expect(sent[0]).toEqual(sent[1])
    expect(sent.at(-1)).toEqual(sent.at(-2))
    expect(sent.slice(1, -1).reduce((records, [, more]) => records + more, 0)).toBe(20)
    expect(machine.quoted).toHaveLength(2)
    machine.measure(1)
    expect((await machine.attest()).sent).toEqual([[20, 1]])
  })

  it('goes on in parts from a checkpoint that lies far behind', async () => {
    const machine = await attested()
    machine.measure(30)
    machine.longestPart = 1000
    const { claims, sent } = await machine.attest()
    expect(claims).toMatchObject({ ima: { entry_count: 35, verified: true } })
    expect(Math.min(...sent.map(([from]) => from))).toBe(5)
  })

  it('whose caller hangs up goes on where it was', async () => {
    const machine = new MeasuringMachine()
    machine.measure(30)
    machine.longestPart = 1000
    const hangUp = new AbortController()
    const { source } = await machine.sourceAndKeys()
    machine.onImaRead = (from) => {
      if (from > 12) hangUp.abort(new Error('hung up'))
    }
    await expect(source.obtainToken(embeddedRequest(), hangUp.signal)).rejects.toThrow('hung up')
    machine.onImaRead = () => undefined
    machine.sent.length = 0
    await source.obtainToken(embeddedRequest(), never)
    expect(Math.min(...machine.sent.map(({ from }) => from))).toBeGreaterThan(6)
  })

  it('of a boot that ended is whole again', async () => {
    const machine = new MeasuringMachine()
    machine.measure(30)
    machine.longestPart = 1000
    const hangUp = new AbortController()
    const { source } = await machine.sourceAndKeys()
    machine.onImaRead = (from) => {
      if (from > 12) hangUp.abort(new Error('hung up'))
    }
    await expect(source.obtainToken(embeddedRequest(), hangUp.signal)).rejects.toThrow('hung up')
    machine.onImaRead = () => undefined
    machine.tpm.reboot()
    machine.measure(40)
    expect(claimsOf(await source.obtainToken(embeddedRequest(), never))).toMatchObject({ ima: { entry_count: 42 } })
  })
})

/** What a verifier without a memory says of the last quote, and of the whole log beside it. */
function wholeAppraisal(machine: MeasuringMachine) {
  const { last, tpm, quoted } = machine
  const nonce = quoted.at(-1)
  if (last === null || nonce === undefined) throw new Error('there was no quote')
  return appraiseTpm(last, { ...tpm.inputs(nonce), now: machine.clock.now() })
}

describe('any history of a machine', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ does: fc.constant('measure' as const), files: fc.nat(12) }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constant('late' as const), files: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.constant({ does: 'reboot' as const }) },
    { weight: 1, arbitrary: fc.constant({ does: 'forget' as const }) },
    { weight: 1, arbitrary: fc.constant({ does: 'reload' as const }) },
    { weight: 1, arbitrary: fc.constant({ does: 'damage' as const }) },
    { weight: 1, arbitrary: fc.constant({ does: 'wait' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({ does: fc.constant('part' as const), bytes: fc.constantFrom(1, 300, 1500, Infinity) }),
    },
    { weight: 2, arbitrary: fc.constant({ does: 'replay' as const }) },
    { weight: 8, arbitrary: fc.constant({ does: 'attest' as const }) },
  )

  async function damage(machine: MeasuringMachine): Promise<void> {
    const [stored] = await machine.store.list()
    if (stored === undefined) return
    const checkpoint = stored.record.checkpoint && randomBytes(stored.record.checkpoint.length)
    await machine.store.commit([{ record: { ...stored.record, checkpoint }, expected: stored.version }])
  }

  /** Old evidence under a new challenge. */
  async function replay(machine: MeasuringMachine): Promise<void> {
    const { change, last } = machine
    if (last === null) return
    machine.change = () => last
    expect((await machine.attest()).outcome).toContain('tpm.quote.nonce')
    machine.change = change
  }

  it('ends with the verdict and the counts of a whole log, every time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const machine = new MeasuringMachine()
        for (const taken of [...steps, { does: 'attest' as const }]) {
          switch (taken.does) {
            case 'measure':
              machine.measure(taken.files)
              break
            case 'late':
              machine.afterQuote = () => machine.measure(taken.files)
              break
            case 'reboot':
              machine.tpm.reboot()
              break
            case 'forget':
              machine.useStore()
              machine.reload()
              break
            case 'reload':
              machine.reload()
              break
            case 'damage':
              await damage(machine)
              break
            case 'wait':
              await machine.clock.advance(700 * second)
              break
            case 'part':
              machine.longestPart = taken.bytes
              break
            case 'replay':
              await replay(machine)
              break
            case 'attest': {
              const { outcome, claims } = await machine.attest()
              expect(outcome).toBe('issued')
              const whole = wholeAppraisal(machine)
              expect(whole.affirmed).toBe(true)
              expect(claims?.ima).toEqual(whole.claims['ima'])
            }
          }
        }
      }),
      { numRuns: 30 },
    )
  })
})
