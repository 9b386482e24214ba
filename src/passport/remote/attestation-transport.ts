/** What a server answered to one request, as far as this client reads it. Everything in it is the server's word. */
export interface AttestationAnswer {
  readonly status: number
  /** `Content-Type` as it came, or null. */
  readonly contentType: string | null
  /** `Retry-After` as it came, or null. */
  readonly retryAfter: string | null
  /** The whole body, at most as long as asked for, without content coding. */
  readonly body: Uint8Array
}

export interface AttestationPost {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** A longer answer is an error as soon as the limit is passed, whatever its announced length. */
  readonly maxBytes: number
}

/**
 * Port: one HTTP exchange. `createAttestationTransport` is the usual one; tests and hosts with an HTTP client of their
 * own bring another.
 */
export interface AttestationTransport {
  /**
   * Sends one POST on a connection of its own, adds no credential and no cookie, follows no redirect (SVC-02, SVC-16), and
   * verifies the server's certificate. Rejects when nothing whole came, with the reason of `signal` soon after it aborts;
   * the connection is closed then. What it rejects with may carry a `code`.
   */
  post(post: AttestationPost, signal: AbortSignal): Promise<AttestationAnswer>
}
