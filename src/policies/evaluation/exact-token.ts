import type { Evaluation, TokenValue } from './evaluation.ts'

function isRounded(value: TokenValue): boolean {
  return [value].flat().some((one) => typeof one === 'bigint' && !Number.isSafeInteger(Number(one)))
}

const rounded = { id: 'POL-419', message: 'an issued Integer is beyond 2^53', section: null, line: null } as const

/**
 * What an evaluation says to a token in JSON. Readers would round an Integer beyond 2^53, and it would be another claim
 * than the one that was issued (POL-401, POL-419): such a permit is verdict *error*.
 */
export function forToken(evaluation: Evaluation): Evaluation {
  if (evaluation.verdict !== 'permit' || !Object.values(evaluation.token).some(isRounded)) return evaluation
  const { token: _token, properties: _properties, ...others } = evaluation
  return { ...others, verdict: 'error', error: rounded }
}
