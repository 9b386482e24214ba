import { randomBytes } from 'node:crypto'
import { Command, Option } from 'commander'
import { AttestdError } from '../../base/errors.ts'
import type { FetchedToken } from '../../client/fetched-token.ts'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { CommandEnd } from '../presentation/command-end.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { fetchToken } from './fetch-token.ts'
import { integerOption, socketOption } from './options.ts'

interface GcpOptions {
  readonly audience?: string
  readonly outputFile?: string
  readonly timeout: number
  readonly socket: string
}

const tokenType = 'urn:ietf:params:oauth:token-type:id_token'

function success({ token, expiresAt }: FetchedToken): string {
  return JSON.stringify({
    version: 1,
    success: true,
    token_type: tokenType,
    id_token: token,
    expiration_time: expiresAt,
  })
}

/** The status stands for the kind of failure, as the API gives it; the text has the code and what mends it. */
function failure({ status, code, message, remedy }: AttestdError): string {
  return JSON.stringify({ version: 1, success: false, code: String(status), message: `${code}: ${message}; ${remedy}` })
}

/** Milliseconds that are left of 80 % of the caller's time, counted from the start of this process (API-158). */
function leftMs(timeoutS: number): number {
  return Math.max(1, timeoutS * 800 - performance.now())
}

/** Client libraries set the variable to nothing where no file is configured: an empty path is none. */
const isNamed = (path: string | undefined): path is string => path !== undefined && path !== ''

async function answer({ audience, outputFile, timeout, socket }: GcpOptions): Promise<string> {
  const asked = audience === undefined ? {} : { audience }
  const text = success(await fetchToken({ socket, ...asked, timeoutMs: leftMs(timeout) }))
  if (isNamed(outputFile)) {
    const random = (size: number) => new Uint8Array(randomBytes(size))
    await writeAtomically(outputFile, new TextEncoder().encode(text), { mode: 0o600, random })
  }
  return text
}

/**
 * `attestd gcp`: the executable source of Google's credential configuration (API-158). One JSON object on standard output,
 * exit 0 or 1, and not a byte on standard error, for client libraries read both as one. With an output file the object of
 * a success is put there too; a failure leaves what is there.
 */
export function gcpCommand(io: CommandIo): Command {
  const env = (name: string) => `GOOGLE_EXTERNAL_ACCOUNT_${name}`
  return new Command('gcp')
    .description('fetch a token for the client libraries of Google Cloud, in the form of an executable source')
    .addOption(
      new Option('--audience <audience>', 'the provider: //iam.googleapis.com/projects/…/providers/…').env(
        env('AUDIENCE'),
      ),
    )
    .addOption(new Option('--output-file <path>', 'where to put the answer too').env(env('OUTPUT_FILE')))
    .addOption(
      new Option('--timeout <seconds>', 'timeout_millis of the configuration, in seconds; 80 % of it are used')
        .argParser(integerOption(5, 120))
        .default(30),
    )
    .addOption(socketOption('api'))
    .action(async (options: GcpOptions) => {
      const end = io.terminal ? '\n' : ''
      try {
        io.out(`${await answer(options)}${end}`)
      } catch (error) {
        if (!(error instanceof AttestdError)) throw error
        io.out(`${failure(error)}${end}`)
        throw new CommandEnd(1)
      }
    })
}
