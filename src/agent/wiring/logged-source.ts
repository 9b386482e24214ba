import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import type { TokenSource } from '../../passport/token-source.ts'

/**
 * A source whose failures stand in the log, with the checks that failed: callers learn that they get no token, the
 * operator must learn why. The broker spaces attempts, so the log does not flood.
 */
export function loggedSource(source: TokenSource, log: Logger): TokenSource {
  const { name, generation, usualLifetimeS, fixedAudience } = source
  return {
    ...{ name, generation, usualLifetimeS, ...(fixedAudience === undefined ? {} : { fixedAudience }) },
    acceptToken: (token, request) => source.acceptToken(token, request),
    obtainToken: async (request, signal) => {
      try {
        return await source.obtainToken(request, signal)
      } catch (error) {
        if (error instanceof AttestdError) {
          const { code, kind, facts, message } = error
          const { cause_code: cause, findings } = facts
          log.warn({ event: 'no_token', issuer: source.name, code, cause, kind, findings }, message)
        }
        throw error
      }
    },
  }
}
