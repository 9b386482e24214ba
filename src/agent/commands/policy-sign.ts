import { createPrivateKey, type KeyObject } from 'node:crypto'
import { Command } from 'commander'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { encodeUnsignedPolicy, type PolicySigningKey, signPolicy } from '../../policies/index.ts'
import { encodeUnsignedReset, signPolicyReset } from '../../policies/signed/encode-policy-jws.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import { readPolicySource, requireOneStandardInput, requirePolicy } from '../policy-tools/policy-source.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { openHost } from '../wiring/host.ts'
import { readCertificates } from '../wiring/trust-files.ts'

interface SignOptions {
  readonly key?: string
  readonly certificate?: string[]
  readonly unsigned?: boolean
  readonly reset?: boolean
  readonly output: string
}

const largestKey = 64 << 10

async function readPrivateKey(path: string): Promise<KeyObject> {
  const bytes = await readInput(path, largestKey)
  try {
    return createPrivateKey(bytes[0] === 0x30 ? derKey(bytes) : Buffer.from(bytes))
  } catch (cause) {
    // The message of OpenSSL says nothing that helps, and might say something of the key.
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: is no private key without a passphrase`, {
      remedy: 'give a PEM or PKCS #8 DER file; openssl pkey -in KEY -out PLAIN takes a passphrase off',
      cause,
    })
  } finally {
    bytes.fill(0)
  }
}

const derKey = (bytes: Uint8Array) => ({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' }) as const

/** Null: nobody is to sign. */
async function signerOf({ key, certificate = [], unsigned }: SignOptions): Promise<PolicySigningKey | null> {
  if (unsigned) {
    if (key === undefined && certificate.length === 0) return null
    throw agentErrors.error('USAGE', '--unsigned takes neither --key nor --certificate')
  }
  if (key === undefined) throw agentErrors.error('USAGE', '--key is missing; --unsigned writes the form without one')
  return { privateKey: await readPrivateKey(key), certificates: await readCertificates(certificate) }
}

async function signedPolicy(file: string, options: SignOptions): Promise<string> {
  requireOneStandardInput([file, options.key])
  const source = await readPolicySource(file)
  requirePolicy(source)
  const signer = await signerOf(options)
  return signer === null ? encodeUnsignedPolicy(source.bytes) : signPolicy(source.bytes, signer)
}

async function signedReset(options: SignOptions): Promise<string> {
  const signer = await signerOf(options)
  return signer === null ? encodeUnsignedReset() : signPolicyReset(signer)
}

function signed(file: string | undefined, options: SignOptions): Promise<string> {
  if ((file === undefined) !== (options.reset === true)) {
    throw agentErrors.error('USAGE', 'name one policy, or say --reset and name none')
  }
  return file === undefined ? signedReset(options) : signedPolicy(file, options)
}

/** `attestd policy sign FILE`: the JWS that verifiers with trusted signers take (POL-701, POL-703). */
export function policySignCommand(io: CommandIo): Command {
  return new Command('sign')
    .description('sign a policy that loads, as the JWS that is uploaded: RS256 or ES256 by the type of the key')
    .argument('[file]', 'the policy text, - for standard input')
    .option('--key <file>', 'private key of the signer, used for nothing else: RSA of 2048 bits or more, or P-256')
    .option(
      '--certificate <file...>',
      'its certificates, its own first; without them the bare key goes into the header',
    )
    .option('--unsigned', 'write the unsigned form, for verifiers without trusted signers')
    .option('--reset', 'in place of a policy: the reset of any policy to the shipped default (POL-904)')
    .option('-o, --output <file>', 'where the JWS goes, - for standard output', '-')
    .action(async (file: string | undefined, options: SignOptions) => {
      const jws = await signed(file, options)
      // A line feed behind it would be part of what is uploaded, and no strict reader takes it.
      if (options.output === '-') io.out(io.terminal ? `${jws}\n` : jws)
      else {
        const random = openHost().random
        await writeAtomically(options.output, new TextEncoder().encode(jws), { mode: 0o644, random })
      }
    })
}
