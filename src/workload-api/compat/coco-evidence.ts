import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { callerRequest } from '../../policies/caller-policy.ts'
import { type ApiContext, requireAllowed } from '../api-context.ts'
import { invalidRequest } from '../errors.ts'
import { answerEvidence } from '../evidence-operation.ts'
import type { Answer, Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import type { Route } from '../route.ts'
import { defaultTimeoutMs } from '../token-parameters.ts'

/** `trustiflux` names the evidence of GPUs beside the quote; `coco` does not know the member. */
export type CocoFlavour = 'coco' | 'trustiflux'

export const octetStream = 'application/octet-stream'

const queryForms = { runtime_data: 'text', encoding: 'text' } as const

function decodeRuntimeData(text: string, encoding: string | null): Uint8Array {
  if (encoding === null) return new TextEncoder().encode(text)
  if (encoding !== 'base64') throw invalidRequest('encoding', 'is not base64')
  try {
    return parseText(text, 'base64url', 'runtime_data')
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    throw invalidRequest('runtime_data', 'is not base64url without padding')
  }
}

function readRuntimeData(exchange: Exchange, least: number): Uint8Array {
  const reader = new MemberReader(exchange.queryMembers(queryForms), Object.keys(queryForms))
  const [text, encoding] = [reader.text('runtime_data'), reader.text('encoding')]
  if (text === null) throw invalidRequest('runtime_data', 'is missing')
  const data = decodeRuntimeData(text, encoding)
  if (data.length >= least && data.length <= 64) return data
  throw invalidRequest('runtime_data', `is not ${least} to 64 bytes long`)
}

/** The container of the document of the native route, as its bytes stand there: what a verifier was given stays what it is. */
function containerOf(document: string): string {
  const { evidence } = JSON.parse(document) as { readonly evidence?: unknown }
  if (typeof evidence !== 'string') throw new TypeError('an evidence document without a container')
  return Buffer.from(evidence, 'base64url').toString('utf8')
}

/** This agent collects no evidence of GPUs, and says so where the member is expected. */
function withGpu(container: string): string {
  return `${container.slice(0, -1)},"gpu_evidence":null}`
}

async function serveEvidence(context: ApiContext, exchange: Exchange, flavour: CocoFlavour): Promise<void> {
  const challenge = readRuntimeData(exchange, 1)
  const encode = (document: string): Answer => {
    const container = containerOf(document)
    return { status: 200, type: octetStream, body: flavour === 'coco' ? container : withGpu(container) }
  }
  if (exchange.method === 'HEAD') return describeEvidence(context, exchange, challenge)
  const asked = { challenge, profile: 'raw', devices: ['tdx'], verifier: null, timeoutMs: defaultTimeoutMs } as const
  await answerEvidence(context, exchange, asked, encode)
}

/** `HEAD` collects nothing (API-33). */
function describeEvidence(context: ApiContext, exchange: Exchange, rawReportData: Uint8Array): Promise<void> {
  requireAllowed(context, exchange, callerRequest('raw_report_data', { rawReportData }), false)
  return exchange.answer({ status: 200, type: octetStream, body: null })
}

/** There are no devices beside the TD whose evidence this surface could give: an empty body says so (API-141). */
async function serveAdditional(context: ApiContext, exchange: Exchange): Promise<void> {
  const rawReportData = readRuntimeData(exchange, 0)
  requireAllowed(context, exchange, callerRequest('raw_report_data', { rawReportData }), false)
  await exchange.answer({ status: 200, type: octetStream, body: '' })
}

/**
 * `GET /aa/evidence` and `/aa/additional-evidence` (API-141): a quote over report data that the caller chose, zero-padded
 * and not hashed, which is a right of its own (API-66).
 */
export function cocoEvidenceRoutes(context: ApiContext, flavour: CocoFlavour): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/aa/evidence',
      caller: true,
      handle: (exchange) => serveEvidence(context, exchange, flavour),
    },
    {
      method: 'GET',
      path: '/aa/additional-evidence',
      caller: true,
      handle: (exchange) => serveAdditional(context, exchange),
    },
  ]
}
