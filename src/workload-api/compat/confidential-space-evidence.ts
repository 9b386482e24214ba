import { parseText, toBase64 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import { invalidRequest } from '../errors.ts'
import { answerEvidence } from '../evidence-operation.ts'
import type { Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import { quoted } from '../problem.ts'
import type { Route } from '../route.ts'
import { defaultTimeoutMs } from '../token-parameters.ts'

/** Ours, not the launcher's: the challenge is bound by our transcript, and nobody is to take it for the other binding. */
const label = 'attestd/1'

const fieldNames = ['label', 'challenge', 'quote'] as const
type FieldName = (typeof fieldNames)[number]

const isField = (name: string): name is FieldName => fieldNames.some((field) => field === name)

/** From 8 to 64 bytes, as natively: fewer could be guessed, more are not bound. */
function requireChallenge(text: string | null): Uint8Array {
  if (text === null) throw invalidRequest('challenge', 'is missing')
  try {
    const challenge = parseText(text, 'base64', 'challenge')
    if (challenge.length >= 8 && challenge.length <= 64) return challenge
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
  }
  throw invalidRequest('challenge', 'is not base64 of 8 to 64 bytes')
}

/** Which members are asked for: the query comes before the header, as in the launcher; nothing or `*` stands for all. */
function requireFields(exchange: Exchange): readonly FieldName[] {
  const named = new MemberReader(exchange.queryMembers({ fields: 'text' }), ['fields']).text('fields')
  const mask = named ?? exchange.header('x-goog-fieldmask') ?? ''
  if (mask === '' || mask === '*') return fieldNames
  const asked = mask.split(',').map((name) => name.trim())
  const unknown = asked.find((name) => !isField(name))
  if (unknown !== undefined) throw invalidRequest('fields', `${quoted(unknown)} is not ${fieldNames.join(', ')}`)
  return fieldNames.filter((name) => asked.includes(name))
}

/** The answer, of which the evidence document is a part as it is: it may have megabytes and is not parsed. */
function encodeAnswer(fields: readonly FieldName[], challenge: Uint8Array, document: string): string {
  const values: Readonly<Record<FieldName, string>> = {
    label: JSON.stringify(toBase64(new TextEncoder().encode(label))),
    challenge: JSON.stringify(toBase64(challenge)),
    quote: document,
  }
  return `{${fields.map((name) => `"${name}":${values[name]}`).join(',')}}`
}

async function serveEvidence(context: ApiContext, exchange: Exchange): Promise<void> {
  const members = new MemberReader(exchange.jsonBody(), ['challenge'])
  const challenge = requireChallenge(members.text('challenge'))
  const fields = requireFields(exchange)
  const asked = { challenge, profile: 'attestd/1', devices: null, verifier: null, timeoutMs: defaultTimeoutMs } as const
  await answerEvidence(context, exchange, asked, (document) => ({
    status: 200,
    type: 'application/json',
    body: encodeAnswer(fields, challenge, document),
  }))
}

/** `POST /v1/evidence` of the launcher's socket (API-134): `quote` is the evidence document of the native route. */
export function launcherEvidenceRoute(context: ApiContext): Route {
  const handle = (exchange: Exchange) => serveEvidence(context, exchange)
  return { method: 'POST', path: '/v1/evidence', caller: true, handle }
}
