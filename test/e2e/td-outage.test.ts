import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AgentProcess, partOf } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { logged, readiness, startEager, told, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** A guest with a TD and a TPM loses one of them: which tokens there are without it, who is told, and how it comes back. */

const roomy = ['url = "https://issuer.example"', 'max_characters = 12000']
const missing = (cause: unknown) => [503, 'evidence_unavailable', cause]
const noTpm = expect.stringMatching(/^TPM_/)

describe.skipIf(!haveSwtpm)('when a guest with a TD and a TPM', () => {
  const { machine, folder } = useTdMachine({ tpm: true })
  let agent: AgentProcess
  let homes = 0
  const restart = async (...tpm: string[]) => {
    await agent?.stop()
    agent = await startEager(join(folder, `agent-${homes++}`), machine(), {
      tpm: ['timeout = "2s"', ...tpm],
      issuer: roomy,
    })
  }
  beforeAll(() => restart())
  afterAll(() => agent?.stop())
  const bound = { attestd: { binding: [{ edge: 'tdx+tpm', outcome: 'passed' }] } }
  beforeEach(async () => {
    expect(partOf(await agent.token(), 'payload')).toMatchObject(bound)
  })

  it('loses its TPM, no token speaks for the TD alone; the one at hand is served; it comes back by itself', async () => {
    const token = await agent.token()
    await machine().tpm.powerOff()
    expect(await toldAnew(agent)).toEqual(missing(noTpm))
    expect(await agent.token()).toBe(token)
    await agent.until(async () => (await readiness(agent)).status === 503, 'not ready')
    expect((await readiness(agent)).reasons).toEqual([expect.stringMatching(/^tpm:TPM_/)])
    await agent.until(() => logged(agent, 'tpm_failed').length > 0, 'saying so in the log')
    await machine().tpm.powerOn()
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'serving', 20_000)
    await agent.until(async () => (await readiness(agent)).status === 200, 'ready', 20_000)
  })

  it('loses its TD, no token speaks for the TPM alone', async () => {
    const token = await agent.token()
    await machine().switchOffKernel()
    expect(await toldAnew(agent)).toEqual(missing('tsm_absent'))
    expect(await agent.token()).toBe(token)
    await machine().switchOnKernel()
    expect(await toldAnew(agent)).toEqual([200])
  })

  it('has a TD that is refused, the TPM does not make up for it, and the other way round', async () => {
    machine().kernel.quoteOptions = { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }
    expect(await toldAnew(agent)).toEqual([502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED', 'tdx.policy.debug'])
    machine().kernel.quoteOptions = {}
    await machine().tpm.tap.powerCycle()
    const [status, code, cause, findings] = await toldAnew(agent)
    expect([status, code, cause]).toEqual([502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED'])
    expect(String(findings)).toMatch(/^tpm\.[\w.-]+(?:, tpm\.[\w.-]+)*$/)
    await machine().tpm.measure()
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'serving')
  })

  it('answers with the TD quote of another challenge, that is found out', async () => {
    const [old] = machine().quoted
    machine().answer = (asked, honest) => honest.quote({ ...asked, reportData: old ?? new Uint8Array(64) })
    expect(await toldAnew(agent)).toEqual(missing('quote_echo_mismatch'))
    machine().answer = null
  })

  it('has no TPM when the agent starts: auto goes on with the TD, which is to be read in the token', async () => {
    await restart('tcti = "device:/dev/attestd-no-tpm"')
    const { attestd, tee, sub } = partOf(await agent.token(), 'payload')
    expect([attestd, tee, sub]).toEqual([
      expect.objectContaining({ binding: [] }),
      'tdx',
      expect.stringMatching(/^attestd:v1:workload:/),
    ])
    await restart()
  })

  it('has a TPM by name that does not answer when the agent starts: it is waited for', async () => {
    await machine().tpm.powerOff()
    await restart()
    expect(await toldAnew(agent)).toEqual(missing(noTpm))
    await machine().tpm.powerOn()
    await agent.until(async () => told(await agent.askToken())[0] === 200, 'serving', 20_000)
  })
})
