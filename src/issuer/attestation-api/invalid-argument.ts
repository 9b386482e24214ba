import { MalformedError } from '../../base/errors.ts'
import { attestationErrors } from './errors.ts'

/** Refuses a member of the request; `field` is its path there (ERR-01), `says` goes on from it. */
export function invalidArgument(field: string, says: string, remedy?: string) {
  const facts = { field }
  return attestationErrors.error(
    'AS.REQUEST.INVALID_ARGUMENT',
    `${field} ${says}`,
    remedy === undefined ? { facts } : { facts, remedy },
  )
}

/** Gives what `read` gives; what does not parse is a refusal of the member in the words of the parser. */
export function readArgument<T>(field: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw invalidArgument(field, error.message.slice(error.path.length).replace(/^: /, ''))
  }
}
