import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { builtProgram } from '../support/built-program.ts'
import { runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'

/** What `npm start` runs, as the README says: to its end, with every verifier. */

const demonstration = resolve(import.meta.dirname, '../../dist/mocks/demo/main.js')

async function play(...options: readonly string[]) {
  await builtProgram()
  return runCommand(process.execPath, [demonstration, '--once', '--simulated', ...options])
}

describe.skipIf(!haveSwtpm)('the demonstration', () => {
  it('shows the token that a workload got from the bundled verifier', async () => {
    const { code, out } = await play()
    expect(out).toMatch(/^ {2}passed {5}tdx\.quote\.signature /m)
    expect(out).toMatch(/"simulated": true/)
    expect(code).toBe(0)
  }, 120_000)

  it('shows that of the verifier as a service, whose relying party demands the policy that was set', async () => {
    const { code, out } = await play('--verifier', 'service')
    expect(out).toMatch(/^ {2}passed {5}token\.policies /m)
    expect(out).toContain('"policy-id": "site-1"')
    expect(out).toMatch(/^ {2}node \S*agent\/main\.js verifier policies show --id site-1 --socket \S+\/admin\.sock$/m)
    expect(code).toBe(0)
  }, 120_000)

  it('shows that of the double of another service', async () => {
    const { code, out } = await play('--verifier', 'alibaba')
    expect(out).toMatch(/^ {2}passed {5}token\.signature /m)
    expect(code).toBe(0)
  }, 120_000)

  it('knows no other', async () => {
    expect(await play('--verifier', 'nobody')).toMatchObject({ code: 64, out: '' })
  })
})
