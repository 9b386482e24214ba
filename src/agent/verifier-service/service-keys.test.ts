import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { countingRandom } from '../../../test/support/issuing.ts'
import { runTogether } from '../../base/tasks.ts'
import type { KeyRing } from '../../issuer/key-ring.ts'
import { parseConfigurationBy } from '../configuration/load.ts'
import { serviceSchema } from '../configuration/service-schema.ts'
import { openServiceKeys, type ServiceKeys } from './service-keys.ts'
import type { ServiceSettings } from './service-settings.ts'

const day = 86_400_000
const folder = mkdtempSync(join(tmpdir(), 'attestd-service-keys-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const clock = new FakeClock()
const facade = (name: string) =>
  `[azure.${name}]\nurl = "https://${name}.example"\nlisten = "127.0.0.1:1"\ncertificate = "/c"\nkey = "/k"`
const text = `[service]
state_directory = "${folder}"
[issuer]
url = "https://verifier.example"
rotation = "30d"
${facade('attestation')}
${facade('administration')}
administrators = [{ name = "ann", token_sha256 = "${'0'.repeat(64)}" }]
`
const configuration = parseConfigurationBy(serviceSchema, text, 'verifier.toml')
const settings = { configuration } as ServiceSettings
const host = { clock, random: countingRandom(), libc: null, testMode: null }
const open = () => openServiceKeys(settings, host, pino({ level: 'silent' }))
const ringsOf = ({ tokens, challenges, facades }: ServiceKeys) =>
  ({ tokens, challenges, attestation: facades.attestation, administration: facades.administration }) as Readonly<
    Record<string, KeyRing>
  >
const kidsOf = (keys: ServiceKeys) => Object.values(ringsOf(keys)).map((ring) => ring.signingKey('RS256').kid)
const spkiOf = (ring: KeyRing | undefined) => {
  const [key] = ring?.published() ?? []
  if (key === undefined) throw new TypeError('a ring without a key')
  return new Uint8Array(createPublicKey(key.privateKey).export({ type: 'spki', format: 'der' }))
}

let keys: ServiceKeys
beforeAll(async () => {
  keys = await open()
})

describe('the keys of the verifier service', () => {
  it('are others for each purpose (TOK-50), and those of before when it starts again (TOK-52)', async () => {
    expect(new Set(kidsOf(keys)).size).toBe(4)
    expect(kidsOf(await open())).toEqual(kidsOf(keys))
    const purposes = ['azure-administration', 'azure-attestation', 'challenge', 'id-token']
    const files = [...purposes.map((purpose) => `${purpose}-keys.json`), 'challenge-place']
    expect(readdirSync(folder).sort()).toEqual(files.sort())
  })

  it('come with the mark of their state, which is that of before when it starts again (SVC-30)', async () => {
    expect((await open()).challengePlace).toBe(keys.challengePlace)
  })

  it('are known as keys that sign here, whatever they sign, and no others are (POL-712)', () => {
    for (const [name, ring] of Object.entries(ringsOf(keys))) {
      expect(keys.signsTokens(spkiOf(ring)), name).toBe(true)
    }
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    expect(keys.signsTokens(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })))).toBe(false)
  })

  it('are all replaced at the configured age (TOK-51)', async () => {
    const stop = new AbortController()
    const running = runTogether(stop.signal, ...keys.tasks)
    await settled()
    const states = () => Object.values(ringsOf(keys)).map((ring) => ring.list().map(({ state }) => state))
    clock.jump(29 * day)
    await clock.advance(60_000)
    expect(states()).toEqual(new Array(4).fill(['active']))
    clock.jump(day)
    await clock.advance(60_000)
    const replaced = new Array(4).fill(['active', 'published'])
    await expect.poll(states, { timeout: 25_000 }).toEqual(replaced)
    stop.abort()
    await running
  })
})
