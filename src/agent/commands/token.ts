import { Command, Option } from 'commander'
import type { JsonObject } from '../../base/json.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { askAgent } from '../socket-client.ts'
import { integerOption, socketOption } from './options.ts'

interface TokenOptions {
  readonly audience?: string[]
  readonly issuer?: string
  readonly minValid?: number
  readonly nonce?: string[]
  readonly fresh?: boolean
  readonly json?: boolean
  readonly socket: string
  readonly timeout: number
}

function tokenRequest(options: TokenOptions): JsonObject {
  const { audience, issuer, nonce, minValid, fresh, timeout } = options
  return {
    timeout_ms: timeout * 1000,
    ...(audience ? { audience } : {}),
    ...(issuer === undefined ? {} : { issuer }),
    ...(nonce ? { nonces: nonce } : {}),
    ...(minValid === undefined ? {} : { min_valid_s: minValid }),
    ...(fresh ? { fresh } : {}),
  }
}

/** `attestd token`: the bare token without a newline, unless standard output is a terminal (API-170). */
export function tokenCommand(io: CommandIo): Command {
  return new Command('token')
    .description('fetch a token from the local agent')
    .addOption(new Option('--audience <audience...>', 'for whom the token is; the default of the agent if absent'))
    .option('--issuer <name>', 'who issues it, by its name in the configuration; the default of the agent if absent')
    .addOption(
      new Option('--min-valid <seconds>', 'life that the token must have left').argParser(integerOption(0, 86_400)),
    )
    .addOption(new Option('--nonce <nonce...>', '1 to 6 nonces of 8 to 88 characters, bound by the evidence'))
    .addOption(new Option('--fresh', 'collect evidence now, and give this token to nobody else'))
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(integerOption(1, 60)).default(15))
    .addOption(socketOption('api'))
    .option('--json', 'print the token with its times as a JSON object')
    .action(async (options: TokenOptions) => {
      const accept = options.json ? 'application/json' : 'application/jwt'
      const timeoutMs = options.timeout * 1000
      const body = tokenRequest(options)
      const text = await askAgent({
        socket: options.socket,
        method: 'POST',
        path: '/v1/token',
        body,
        accept,
        timeoutMs,
      })
      io.out(io.terminal || options.json ? `${text}\n` : text)
    })
}
