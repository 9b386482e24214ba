/** Sends the bytes of one command and gives those of its response. What comes out is untrusted (NAT-25). */
export type TpmTransport = (command: Uint8Array) => Promise<Uint8Array>

/**
 * An open way to a TPM. After an error it opens itself anew at the next command; `generation` then grows, and
 * the transient objects and sessions of before are gone (NAT-26).
 */
export interface TpmConnection extends AsyncDisposable {
  readonly send: TpmTransport
  readonly kind: 'tcti' | 'device' | 'swtpm'
  /** The TPM is a test double: all evidence from it says so (NAT-22). */
  readonly simulated: boolean
  readonly generation: number
}
