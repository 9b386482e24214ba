import { type AttestdError, type ErrorOptions, MalformedError } from '../../base/errors.ts'
import type { AnyTpmCommand } from '../../evidence/tpm/command-codec.ts'
import { describeResponseCode, type Reaction, type TpmResponseCode } from '../../evidence/tpm/response-codes.ts'
import { attesterErrors } from '../errors.ts'

type ErrorCode = keyof typeof attesterErrors.declared

/** Facts that every error about a command carries; never its bytes (NAT 3.6). */
export type CommandFacts = {
  readonly command: string
  readonly transport: string
}

/** The error for a refusal after all that could be done about it was done (NAT 3.5). */
const codeFor: Readonly<Record<Reaction, ErrorCode>> = {
  repeat: 'TPM_NOT_READY',
  'repeat-later': 'TPM_NOT_READY',
  'free-slots': 'TPM_NO_SLOTS',
  restart: 'TPM_STATE_LOST',
  start: 'TPM_NOT_STARTED',
  'locked-out': 'TPM_LOCKED_OUT',
  failed: 'TPM_FAILURE',
  'wrong-password': 'TPM_AUTH',
  'give-up': 'TPM_COMMAND_REFUSED',
}

/** The error for a refused command; `as` names another code where the caller knows what the refusal means. */
export function refusalError(
  code: TpmResponseCode,
  facts: CommandFacts & NonNullable<ErrorOptions['facts']>,
  as: ErrorCode = codeFor[code.reaction],
): AttestdError {
  const detail = `${facts.command} was refused: ${describeResponseCode(code)}`
  return attesterErrors.error(as, detail, { facts: { ...facts, rc: `0x${code.rc.toString(16)}` } })
}

/** Runs `read` over what a TPM answered: bytes that do not parse become `TPM_RESPONSE_MALFORMED`. */
export function understood<T>(facts: CommandFacts, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw attesterErrors.error('TPM_RESPONSE_MALFORMED', cause.message, { facts: { ...facts }, cause })
  }
}

/** `TPM_INCONSISTENT` unless `holds`: what a TPM answered must fit what was asked (NAT-54). */
export function requireConsistent(holds: boolean, command: AnyTpmCommand, problem: string): void {
  if (holds) return
  throw attesterErrors.error('TPM_INCONSISTENT', `${command.name}: ${problem}`, { facts: { command: command.name } })
}
