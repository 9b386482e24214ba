import { judgeQuotes } from '../../mocks/attestation-service/judge-quotes.ts'
import { type AttestationServiceDouble, openAttestationService } from '../../mocks/attestation-service/service.ts'
import type { TdMachine } from './td-machine.ts'

/** A double of Alibaba's service that trusts the maker of this machine. */
export function openServiceFor(machine: TdMachine): Promise<AttestationServiceDouble> {
  const { pki, collateral } = machine.sim
  const judge = judgeQuotes({ trustAnchors: [pki.anchor], collateral: () => collateral() })
  return openAttestationService({ judge, policies: ['strict'] })
}

/** A section `[[remotes]]` for it. */
export function remoteLines(
  issuer: string,
  { name = 'alibaba', more = [] }: { readonly name?: string; readonly more?: readonly string[] } = {},
): string {
  const lines = [`name = "${name}"`, 'dialect = "alibaba"', `issuer = "${issuer}"`, 'allow_http_loopback = true']
  return `[[remotes]]\n${[...lines, ...more].join('\n')}\n`
}
