import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import type { TokenSource } from '../../passport/token-source.ts'

/** Why no token came, or why the one that came is not served: a forged or replayed token must not go unnoticed. */
function report({ code, kind, facts, message }: AttestdError, issuer: string, log: Logger): void {
  const { cause_code: cause, findings, policy_id: policy, reason, lines } = facts
  const check = facts['rule'] ?? facts['check']
  log.warn({ event: 'no_token', issuer, code, cause, check, kind, findings, policy, reason, lines }, message)
}

/**
 * A source whose failures stand in the log, with the checks that failed: callers learn that they get no token, the
 * operator must learn why. The broker spaces attempts, so the log does not flood.
 */
export function loggedSource(source: TokenSource, log: Logger): TokenSource {
  const { name, generation, usualLifetimeS, fixedAudience } = source
  const recogniseToken = source.recogniseToken?.bind(source)
  const logged = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (error instanceof AttestdError) report(error, name, log)
      throw error
    }
  }
  return {
    ...{ name, generation, usualLifetimeS, ...(fixedAudience === undefined ? {} : { fixedAudience }) },
    acceptToken: (token, request) => logged(source.acceptToken(token, request)),
    obtainToken: (request, signal, standing) => logged(source.obtainToken(request, signal, standing)),
    expectedWaitMs: (standing) => source.expectedWaitMs?.(standing) ?? 0,
    // A token that is found and not believed is no failure of the issuer.
    ...(recogniseToken === undefined ? {} : { recogniseToken }),
  }
}
