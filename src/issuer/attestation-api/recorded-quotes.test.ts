import { afterAll, describe, expect, it } from 'vitest'
import { directTdVerifier } from '../../../test/support/direct-td-verifier.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { type RecordedCase, recordedCases } from '../../../test/support/recorded-tdx.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { evidenceText, makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import { toBase64url } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseQuote, type Quote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { appraiseTdx } from '../../verifier/index.ts'
import { createVerifierServer } from './verifier-server.ts'

const cases = haveVectors ? recordedCases() : []
let rig: VerifierRig | undefined

/** Null for a quote that does not parse: one of them has something behind its signature. */
function parsed(quote: Uint8Array): Quote | null {
  try {
    return parseQuote(quote)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

const boundBy = (quote: Quote | null) => (quote === null ? new Uint8Array(64) : reportDataOf(quote))

/** Status and code of the answer of a service whose clock, anchors and collateral are those of the record. */
async function answerTo({ quote, collateral, trustAnchors, now }: RecordedCase): Promise<string> {
  rig ??= await makeVerifierRig()
  const clock = new FakeClock(now)
  const verifier = directTdVerifier({ clock, trustAnchors, collateral: () => collateral })
  const app = createVerifierServer(rig.options({ verifier, clock }))
  const raw = toBase64url(boundBy(parsed(quote)))
  const payload = JSON.stringify({ tee: 'tdx', evidence: evidenceText(quote), runtime_data: { raw } })
  const { statusCode, body } = await app.inject({ method: 'POST', url: '/v1/attestation', payload })
  await app.close()
  return statusCode === 200 ? '200' : `${statusCode} ${JSON.parse(body).code}`
}

/** The verdict of the library, in the words of the service. */
function expectedFor({ quote, collateral, trustAnchors, now }: RecordedCase): string {
  const read = parsed(quote)
  if (read === null || read.body.kind === 'sgx') return '422 AS.EVIDENCE.INVALID_QUOTE'
  const inputs = { collateral, trustAnchors, now, reportData: boundBy(read) }
  const { affirmed } = appraiseTdx({ quote, ccEventLog: null, simulated: false }, inputs)
  return affirmed ? '200' : '422 AS.EVIDENCE.VERIFICATION_FAILED'
}

describe.skipIf(!haveVectors)('quotes of real machines', () => {
  const answers: string[] = []

  it.each(cases)('$name', async (recorded) => {
    const answer = await answerTo(recorded)
    answers.push(answer)
    expect(answer).toBe(expectedFor(recorded))
    if (!recorded.expected.accept) expect(answer).not.toBe('200')
  })

  afterAll(() => {
    expect(answers).toContain('200')
    expect(answers).toContain('422 AS.EVIDENCE.VERIFICATION_FAILED')
  })
})
