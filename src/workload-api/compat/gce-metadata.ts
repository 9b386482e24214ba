import type { AttestdError } from '../../base/errors.ts'
import type { ApiContext } from '../api-context.ts'
import { invalidRequest, workloadApiErrors } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { MemberReader } from '../members.ts'
import { shownDetail } from '../problem.ts'
import { answerToken, type TokenForm } from '../token-operation.ts'
import { requireAudiences, tokenParameters } from '../token-parameters.ts'
import type { Surface, SurfaceError } from './surface.ts'

export interface GceMetadataSettings {
  /** Null: the default issuer. */
  readonly issuer: string | null
}

/** Clients take an answer without it for one of something else. */
const headers = { 'metadata-flavor': 'Google' }

function encodeError({ status, message }: AttestdError): SurfaceError {
  return { status, type: 'text/plain; charset=utf-8', body: shownDetail(message), headers }
}

const tokenForm: TokenForm = { type: 'text/html', headers, body: ({ token }) => token }

/** No browser and no redirected request can send it: what the header is for. */
function requireFlavor(exchange: Exchange): void {
  if (exchange.soleHeader('metadata-flavor') === 'Google') return
  throw workloadApiErrors.error('browser_or_proxy', 'the header Metadata-Flavor: Google must be there once')
}

const queryForms = { audience: 'text', format: 'text' } as const

async function serveIdentity(context: ApiContext, exchange: Exchange, issuer: string | null): Promise<void> {
  requireFlavor(exchange)
  const reader = new MemberReader(exchange.queryMembers(queryForms), Object.keys(queryForms))
  const [audience, format] = [reader.text('audience'), reader.text('format') ?? 'standard']
  if (format !== 'standard' && format !== 'full') throw invalidRequest('format', 'is not standard or full')
  if (audience === null) throw invalidRequest('audience', 'is missing')
  await answerToken(context, exchange, tokenParameters({ audience: requireAudiences([audience]), issuer }), tokenForm)
}

/**
 * The identity of the default service account, as the metadata server of GCE gives it (API-163): on loopback, where
 * `GCE_METADATA_HOST` points clients to. Both formats give the same token: what it says is our issuer's affair.
 */
export function gceMetadata({ issuer }: GceMetadataSettings): Surface {
  return {
    listener: 'tcp:gce_metadata',
    encodeError,
    routes: (context) => [
      {
        method: 'GET',
        path: '/computeMetadata/v1/instance/service-accounts/default/identity',
        caller: true,
        handle: (exchange) => serveIdentity(context, exchange, issuer),
      },
    ],
  }
}
