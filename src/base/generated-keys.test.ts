import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { builtProgram } from '../../test/support/built-program.ts'
import { generatePrivateKey, newP256Key, newRsaKey } from './generated-keys.ts'

describe('a generated key', () => {
  it.each([
    [{ type: 'ed25519' } as const, { asymmetricKeyType: 'ed25519' }],
    [{ type: 'ec', namedCurve: 'secp384r1' } as const, { asymmetricKeyDetails: { namedCurve: 'secp384r1' } }],
    [
      { type: 'rsa', modulusLength: 3072 } as const,
      { asymmetricKeyDetails: { modulusLength: 3072, publicExponent: 65537n } },
    ],
  ])('is of the kind %j', async (kind, details) => {
    expect(await generatePrivateKey(kind)).toMatchObject({ type: 'private', ...details })
  })

  it('is of its kind at once as well', () => {
    expect(newP256Key()).toMatchObject({ type: 'private', asymmetricKeyDetails: { namedCurve: 'prime256v1' } })
    expect(newRsaKey()).toMatchObject({ type: 'private', asymmetricKeyDetails: { modulusLength: 2048 } })
    expect(newP256Key().export({ format: 'jwk' })).not.toEqual(newP256Key().export({ format: 'jwk' }))
  })

  it.each([
    ['made here', 'createPublicKey(newP256Key()).export({ format: "jwk" })'],
    ['made elsewhere', 'publicJwkOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey)'],
  ])(
    '%s gives its JWK also where garbage is collected all the time: the thread does not wait for itself',
    async (_, work) => {
      await builtProgram()
      const built = (name: string) => JSON.stringify(resolve(import.meta.dirname, `../../dist/src/base/${name}.js`))
      const program = `import { createPublicKey, generateKeyPairSync } from 'node:crypto'
      import { newP256Key } from ${built('generated-keys')}
      import { publicJwkOf } from ${built('jwk')}
      for (let made = 0; made < 8000; made++) ${work}
      console.log('done')`
      const options = ['--max-semi-space-size=1', '--input-type=module', '-e', program]
      const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: 90_000 })
      expect(stdout).toBe('done\n')
    },
    120_000,
  )
})
