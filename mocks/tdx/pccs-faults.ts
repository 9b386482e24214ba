import type { CollateralOptions } from './collateral.ts'
import type { PccsAnswer, ServedItem } from './pccs-answers.ts'
import type { SimulatedPki } from './pki.ts'

/** What a provisioning service can do wrong (TDX-285). */
export type PccsFault =
  /** 404, 410, 429, 461, 5xx and the like, without a body. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterSeconds?: number }
  /** The right answer, late. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** No answer until the server closes. */
  | { readonly kind: 'silent' }
  /** White space behind the document up to so many bytes. */
  | { readonly kind: 'oversized'; readonly bytes: number }
  | { readonly kind: 'oversized-headers'; readonly bytes: number }
  /** Half of the body, then the connection breaks. */
  | { readonly kind: 'truncated' }
  /** An answer that is ten days old: authentic, and superseded (TDX-212). */
  | { readonly kind: 'rollback' }
  | { readonly kind: 'garbage' }
  | { readonly kind: 'redirect'; readonly to: string }
  /** Signed by a key of the same root that must not sign it (TDX-211). */
  | { readonly kind: 'forged' }
  /** Without the header that holds the issuer chain. */
  | { readonly kind: 'chainless' }

interface PlannedFault {
  readonly fault: PccsFault
  left: number
}

/** Faults that are due, by item; `all` is for those that have none of their own. */
export class PccsFaults {
  #planned = new Map<ServedItem | 'all', PlannedFault>()

  plan(item: ServedItem | 'all', fault: PccsFault, times = Number.POSITIVE_INFINITY): void {
    this.#planned.set(item, { fault, left: times })
  }

  clear(): void {
    this.#planned.clear()
  }

  take(item: ServedItem): PccsFault | undefined {
    const planned = [this.#planned.get(item), this.#planned.get('all')].find((one) => one !== undefined && one.left > 0)
    if (!planned) return undefined
    planned.left -= 1
    return planned.fault
  }
}

const tenDays = 10 * 86_400_000

/** How a fault changes what is published. */
export function publicationUnder(
  fault: PccsFault | undefined,
  pki: SimulatedPki,
  issued: number,
): { readonly issued: number; readonly options: CollateralOptions } {
  if (fault?.kind === 'rollback') return { issued: issued - tenDays, options: { evaluationNumber: 16 } }
  if (fault?.kind !== 'forged') return { issued, options: {} }
  // The list of an authority says who it is from; forged, it comes from the wrong key under the right name.
  return { issued, options: { signer: pki.platformPck, listKey: pki.platformPck.key } }
}

const utf8 = (text: string) => new TextEncoder().encode(text)

function enlarged(body: Uint8Array, bytes: number): Uint8Array {
  const larger = new Uint8Array(Math.max(bytes, body.length)).fill(0x20)
  larger.set(body)
  return larger
}

/** How a fault changes an answer. Those that are about the connection are the server's. */
export function answerUnder(fault: PccsFault, answer: PccsAnswer): PccsAnswer {
  switch (fault.kind) {
    case 'status': {
      const { status, retryAfterSeconds } = fault
      const headers: Record<string, string> =
        retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
      return { status, headers, body: new Uint8Array() }
    }
    case 'oversized':
      return { ...answer, body: enlarged(answer.body, fault.bytes) }
    case 'oversized-headers':
      return { ...answer, headers: { ...answer.headers, 'x-filling': 'x'.repeat(fault.bytes) } }
    case 'garbage':
      return { ...answer, body: utf8('{"tcbInfo":{') }
    case 'redirect':
      return { status: 302, headers: { location: fault.to }, body: new Uint8Array() }
    case 'chainless': {
      const headers = Object.entries(answer.headers).filter(([name]) => !name.toLowerCase().endsWith('-issuer-chain'))
      return { ...answer, headers: Object.fromEntries(headers) }
    }
    default:
      return answer
  }
}
