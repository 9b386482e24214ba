import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { loadLibc } from '../../platform/c-library.ts'
import { takeLock } from '../../platform/lock-file.ts'
import { lookAtAgent, lookAtSettings } from './settings-items.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-settings-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'attestd.toml')
const state = join(folder, 'state')
const uid = process.geteuid?.() ?? 0

const tables = `[agent]
state_directory = "${state}"
[listen]
api = "${join(folder, 'api.sock')}"
admin = "${join(folder, 'admin.sock')}"
`
const issuer = '[issuer]\nurl = "https://issuer.example"\n'
const write = (text: string) => writeFileSync(file, text, { mode: 0o600 })

describe('the configuration', () => {
  const looked = async (text: string) => {
    write(text)
    const { items, known } = await lookAtSettings(file, true)
    return { item: items[0], known }
  }

  it('is what the agent would take', async () => {
    const { item, known } = await looked(`${tables}${issuer}[tpm]\npcrs = [0, 1]\n[verifier]\nrequired_pcrs = [0, 1]\n`)
    expect(item).toMatchObject({ state: 'ok', says: `${file} is valid` })
    expect(known).toMatchObject({ configured: true, tpm: { pcrs: [0, 1] }, trust: { anchors: [] } })
  })

  it.each<[string, string, RegExp]>([
    ['a key that there is not', `${issuer}[tpm]\npcr = [0]\n`, /tpm\.pcr is not a key; did you mean pcrs\?/],
    ['no issuer', tables, /issuer is missing/],
    [
      'an issuer that is no https URL',
      '[issuer]\nurl = "http://issuer.example"\n',
      /ISSUER_URL_INVALID: the issuer URL is not https/,
    ],
    ['a lifetime beyond a day', `${issuer}lifetime = "25h"\n`, /90000 s/],
    ['an anchor file that is not there', `${issuer}[verifier]\nek_anchors = ["/none.pem"]\n`, /\/none\.pem/],
  ])('with %s is a problem, and names it', async (_, text, says) => {
    expect((await looked(text)).item).toMatchObject({ state: 'problem', says: expect.stringMatching(says) })
  })

  it('says of each remote verifier what is not known about it', async () => {
    const remote = '[[remotes]]\nname = "alibaba"\ndialect = "alibaba"\nissuer = "https://attest.example"\n'
    write(`${tables}${issuer}[tdx]\nuse = "required"\n${remote}`)
    const { items } = await lookAtSettings(file, true)
    expect(items).toMatchObject([
      { id: 'configuration', state: 'ok' },
      {
        id: 'remote.alibaba',
        state: 'warning',
        says: expect.stringMatching(/^https:\/\/attest\.example: .*unverified/),
      },
    ])
  })

  it('that cannot be trusted whole still says where the TPM is', async () => {
    const text = `${issuer}[tpm]\npcrs = [7]\n[verifier]\nek_anchors = ["/none.pem"]\n`
    expect((await looked(text)).known).toMatchObject({ configured: true, tpm: { pcrs: [7] }, trust: null })
  })

  it('that is absent is a problem only if it was named', async () => {
    const none = join(folder, 'none.toml')
    const named = await lookAtSettings(none, true)
    expect(named.items[0]).toMatchObject({ state: 'problem', says: expect.stringContaining('does not exist') })
    const { items, known } = await lookAtSettings(none, false)
    expect(items[0]).toMatchObject({ state: 'warning' })
    expect(known).toMatchObject({ configured: false, tpm: { tcti: 'device:/dev/tpmrm0' } })
  })

  it('that others may write is a problem, also where it was not named', async () => {
    write(issuer)
    chmodSync(file, 0o666)
    expect((await lookAtSettings(file, false)).items[0]).toMatchObject({ state: 'problem' })
    chmodSync(file, 0o600)
  })
})

describe('what the agent keeps and where it listens', () => {
  beforeEach(() => {
    rmSync(state, { recursive: true, force: true })
    write(`${tables}${issuer}`)
  })
  const look = async (as = uid) => {
    const { known } = await lookAtSettings(file, true)
    const { items, holder } = await lookAtAgent(known, as)
    return { holder, items: Object.fromEntries(items.map((item) => [item.id, item])) }
  }

  it('may be missing: nothing is made by looking', async () => {
    const { items, holder } = await look()
    expect(holder).toBeNull()
    expect(Object.values(items).map((item) => [item.id, item.state])).toEqual([
      ['state', 'ok'],
      ['agent', 'ok'],
      ['socket.api', 'ok'],
      ['socket.admin', 'ok'],
    ])
    expect(readdirSync(folder)).not.toContain('state')
  })

  it('must be private, and may belong to another user, which is said', async () => {
    mkdirSync(state, { mode: 0o750 })
    expect((await look()).items['state']).toMatchObject({ state: 'problem', says: expect.stringContaining('mode 750') })
    chmodSync(state, 0o700)
    expect((await look()).items['state']?.state).toBe('ok')
    const other = (await look(uid + 1)).items
    expect([other['state']?.state, other['user']?.state]).toEqual(['ok', 'warning'])
    rmSync(state, { recursive: true })
    writeFileSync(state, '')
    expect((await look()).items['state']).toMatchObject({ state: 'problem', says: expect.stringContaining('no') })
  })

  it('is held by an agent that runs', async () => {
    mkdirSync(state, { mode: 0o700 })
    await using _lock = await takeLock(join(state, 'lock'), loadLibc())
    const { items, holder } = await look()
    expect(holder).toBe(process.pid)
    expect(items['agent']?.says).toContain(`process ${process.pid} holds`)
  })

  it('is listened on, left over, or in the way', async () => {
    const path = join(folder, 'api.sock')
    const server = createServer().listen(path)
    await once(server, 'listening')
    expect((await look()).items['socket.api']?.says).toBe(`${path} is listened on`)
    server.close()
    await once(server, 'close')
    writeFileSync(path, '')
    expect((await look()).items['socket.api']).toMatchObject({ state: 'problem' })
    rmSync(path)
    expect((await look()).items['socket.api']?.says).toContain('no agent listens')
  })
})
