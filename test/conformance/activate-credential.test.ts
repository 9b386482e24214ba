import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { encode, sizedBytes, struct, u16be, u32be } from '../../src/base/layout.ts'
import { nameOf, parseSizedPublic } from '../../src/evidence/tpm/public-area.ts'
import { makeCredential, type ProtectedCredential } from '../../src/verifier/tpm/make-credential.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'

/** What this verifier seals, tpm2_activatecredential opens: with keys that the tools made themselves. */

const haveTools = spawnSync('tpm2_activatecredential', ['--version']).status === 0
const draw = (size: number) => new Uint8Array(randomBytes(size))
/** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET behind a head, as tpm2_makecredential writes them. */
const toolCredential = struct({
  magic: u32be,
  version: u32be,
  idObject: sizedBytes(u16be, { max: 132 }),
  encryptedSecret: sizedBytes(u16be, { max: 512 }),
})
const inToolForm = (blob: ProtectedCredential) =>
  encode(toolCredential, { magic: 0xbadcc0de, version: 1, ...blob }, 'credential')

describe.skipIf(!haveSwtpm || !haveTools).each(['rsa', 'ecc'])('an endorsement key of the kind %s', (kind) => {
  const { tpm } = useSwtpm('credential')
  const folder = mkdtempSync(join(tmpdir(), 'attestd-credential-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string) => join(folder, name)
  /** Without a resource manager what a tool left loaded stays, and three objects fill the TPM. */
  const tool = (name: string, ...parameters: string[]) => {
    const env = { ...process.env, TPM2TOOLS_TCTI: tpm().tcti }
    execFileSync(name, parameters, { env, stdio: 'pipe' })
    if (!name.startsWith('tpm2_p')) execFileSync('tpm2_flushcontext', ['-t'], { env, stdio: 'pipe' })
  }
  const open = (credential: Uint8Array): Uint8Array => {
    writeFileSync(at('credential'), credential)
    tool('tpm2_startauthsession', '--policy-session', '-S', at('session'))
    tool('tpm2_policysecret', '-Q', '-S', at('session'), '-c', 'e')
    const keys = ['-C', at('ek.ctx'), '-c', at('ak.ctx'), '-P', `session:${at('session')}`]
    try {
      tool('tpm2_activatecredential', '-Q', ...keys, '-i', at('credential'), '-o', at('opened'))
    } finally {
      tool('tpm2_flushcontext', at('session'))
    }
    return new Uint8Array(readFileSync(at('opened')))
  }

  it('opens a secret of ours for its attestation key, and for no other', { timeout: 60_000 }, () => {
    tool('tpm2_createek', '-Q', '-G', kind, '-c', at('ek.ctx'), '-u', at('ek.pub'))
    const ak = ['-C', at('ek.ctx'), '-c', at('ak.ctx'), '-G', 'ecc', '-g', 'sha256', '-s', 'ecdsa', '-u', at('ak.pub')]
    tool('tpm2_createak', '-Q', ...ak)
    const areaOf = (name: string) => parseSizedPublic(new Uint8Array(readFileSync(at(name))))
    const [ekArea, akName] = [areaOf('ek.pub'), nameOf(areaOf('ak.pub'))]
    const secret = draw(32)
    const credential = inToolForm(makeCredential(ekArea, akName, secret, draw))
    expect(open(credential)).toEqual(secret)
    const forOther = inToolForm(makeCredential(ekArea, akName.with(-1, (akName.at(-1) ?? 0) ^ 1), secret, draw))
    expect(() => open(forOther)).toThrow(/integrity check failed|0x1DF/i)
  })
})
