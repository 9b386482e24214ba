import { equalBytes } from '../../base/bytes.ts'
import { digestOf, type HashName } from '../../evidence/tpm/algorithms.ts'
import { parseTpmAttest } from '../../evidence/tpm/attest.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { TpmQuote } from '../../evidence/tpm/evidence.ts'
import { describeSelection, type PcrSelection } from '../../evidence/tpm/pcr-selection.ts'
import type { TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { encodeTpmSignature, type TpmtSignature } from '../../evidence/tpm/signature.ts'
import { attesterErrors } from '../errors.ts'
import type { TpmDialogue } from './dialogue.ts'
import { inOrder, pcrAttempts, readPcrs } from './pcrs.ts'
import { requireConsistent, understood } from './refusals.ts'

/** A loaded attestation key. */
export interface SigningKey {
  readonly handle: number
  readonly area: TpmtPublic
  /** As it will stand in the quote. */
  readonly qualifiedName: Uint8Array
}

export interface QuoteRequest {
  /** 8 to 64 bytes; BRK-91 makes 32. */
  readonly qualifyingData: Uint8Array
  readonly selection: readonly PcrSelection[]
}

/**
 * One quote over all banks with the values that it is about: PCRs are read before it, and again together with a
 * new quote while they change between (TPM-06). The quote is checked against the request and against its own
 * values (NAT-54); its signature is left to the verifier. Throws `TPM_PCR_CHANGING` after five attempts.
 */
export async function quotePcrs(tpm: TpmDialogue, key: SigningKey, request: QuoteRequest): Promise<TpmQuote> {
  const hash = schemeHashOf(key.area)
  for (let attempt = 0; attempt < pcrAttempts; attempt++) {
    const pcrs = await readPcrs(tpm, request.selection)
    const { attest, pcrDigest, signature } = await quoteOnce(tpm, key, request)
    if (equalBytes(pcrDigest, digestOf(hash, ...inOrder(pcrs, request.selection)))) return { attest, signature, pcrs }
  }
  throw attesterErrors.error('TPM_PCR_CHANGING', 'PCRs changed between reading and quoting', {
    facts: { attempts: pcrAttempts, selection: describeSelection(request.selection) },
  })
}

function schemeHashOf({ scheme }: TpmtPublic): HashName {
  if ('hash' in scheme) return scheme.hash
  throw new TypeError('the attestation key has no signing scheme of its own')
}

async function quoteOnce(tpm: TpmDialogue, key: SigningKey, { qualifyingData, selection }: QuoteRequest) {
  const { attest, signature } = await tpm.execute(tpm2.quote, {
    key: key.handle,
    qualifyingData,
    scheme: { algorithm: 'null' },
    selection: [...selection],
  })
  const quoted = understood(tpm.factsFor(tpm2.quote), () => parseTpmAttest(attest))
  const require = (holds: boolean, problem: string) => requireConsistent(holds, tpm2.quote, problem)
  require(equalBytes(quoted.extraData, qualifyingData), 'other qualifying data than asked for')
  require(sameSelection(quoted.pcrSelect, selection), `quoted ${describeSelection(quoted.pcrSelect)} instead`)
  require(equalBytes(quoted.qualifiedSigner, key.qualifiedName), 'signed by another key than asked for')
  require(isOfScheme(signature, key.area), 'signed with another scheme than that of the key')
  return { attest, pcrDigest: quoted.pcrDigest, signature: encodeTpmSignature(signature) }
}

function sameSelection(left: readonly PcrSelection[], right: readonly PcrSelection[]): boolean {
  return left.length === right.length && left.every((bank, at) => sameBank(bank, right[at]))
}

function sameBank(left: PcrSelection, right: PcrSelection | undefined): boolean {
  if (left.hash !== right?.hash || left.pcrs.length !== right.pcrs.length) return false
  return left.pcrs.every((pcr, at) => pcr === right.pcrs[at])
}

function isOfScheme(signature: TpmtSignature, { scheme }: TpmtPublic): boolean {
  return signature.algorithm === scheme.algorithm && signature.hash === ('hash' in scheme ? scheme.hash : undefined)
}
