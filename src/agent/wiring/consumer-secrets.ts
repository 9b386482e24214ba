import { join } from 'node:path'
import { AttestdError } from '../../base/errors.ts'
import { readProtected } from '../../platform/protected-file.ts'
import { ConsumerSecrets, parseConsumerSecret } from '../../workload-api/compat/consumer-secrets.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'

/** A consumer as its table says it. */
export interface SecretConsumer {
  readonly name: string
  /** Path of a file, or `credential:NAME`. */
  readonly secret: string
}

const maxBytes = 1024
const credentialForm = /^credential:(?!\.{1,2}$)(.+)$/

interface SecretFile {
  readonly path: string
  /** Bits of the mode that must not be set. */
  readonly forbidden: number
}

/** The manager may grant a credential by an access list, which shows as the read bit of the group. */
function fileOf(secret: string, environment: NodeJS.ProcessEnv): SecretFile | string {
  const [, name] = credentialForm.exec(secret) ?? []
  if (name === undefined) return secret.startsWith('/') ? { path: secret, forbidden: 0o077 } : 'names no credential'
  const folder = environment['CREDENTIALS_DIRECTORY']
  if (!folder?.startsWith('/')) return 'cannot be read: the unit of the agent has no credentials (LoadCredential=)'
  return { path: join(folder, name), forbidden: 0o037 }
}

/** The digest of the secret, or why there is none. */
async function readDigest({ secret }: SecretConsumer, environment: NodeJS.ProcessEnv): Promise<Uint8Array | string> {
  const file = fileOf(secret, environment)
  if (typeof file === 'string') return file
  try {
    const content = await readProtected(file.path, { maxBytes, forbidden: file.forbidden }, secret)
    return content === null ? `${secret} does not exist` : parseConsumerSecret(content, secret)
  } catch (error) {
    if (error instanceof AttestdError) return error.message
    throw error
  }
}

/**
 * Reads the secrets of the consumers whose tables are the array at `path` of the configuration: files that nobody else may
 * read (API-150). Throws `CONFIGURATION_INVALID` with the line, also where two consumers have one name or one secret.
 */
export async function readConsumerSecrets(
  consumers: readonly SecretConsumer[],
  path: readonly PropertyKey[],
  { file, text }: LoadedConfiguration,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ConsumerSecrets> {
  const names = new Set<string>()
  const digests = new Set<string>()
  const secrets = []
  for (const [at, consumer] of consumers.entries()) {
    const refuse = (key: keyof SecretConsumer, says: string) => invalidAt(file, text, [...path, at, key], says)
    const digest = await readDigest(consumer, environment)
    if (typeof digest === 'string') throw refuse('secret', digest)
    const shown = Buffer.from(digest).toString('hex')
    if (names.has(consumer.name)) throw refuse('name', 'is the name of another consumer')
    if (digests.has(shown)) throw refuse('secret', 'is the secret of another consumer')
    names.add(consumer.name)
    digests.add(shown)
    secrets.push({ consumer: consumer.name, digest })
  }
  return new ConsumerSecrets(secrets)
}
