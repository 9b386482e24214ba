/** The numbers of sections 2, 3, 5 and 6; a configuration may lower them. Times in milliseconds, sizes in bytes. */
export interface WorkloadLimits {
  readonly headerBytes: number
  readonly headerFields: number
  readonly targetBytes: number
  readonly bodyBytes: number
  readonly jsonDepth: number
  readonly jsonMembers: number
  readonly headersMs: number
  readonly bodyMs: number
  readonly idleMs: number
  readonly writeStallMs: number
  /** How often header time limits and stalled writers are looked for. */
  readonly checkMs: number
  /** How long a request is still answered after the client has closed its sending side. */
  readonly halfCloseMs: number
  readonly connections: number
  /** Of `connections`, how many may be those of TCP listeners: anybody on the machine can open those. */
  readonly tcpConnections: number
  readonly adminReserve: number
  readonly connectionsPerUid: number
  readonly unanswered: number
  readonly connectionAgeMs: number
  readonly connectionRequests: number
  readonly identityMs: number
  readonly acceptsPerS: number
  readonly acceptBurst: number
  readonly requestsPerS: number
  readonly requestBurst: number
  readonly expensivePerS: number
  readonly expensiveBurst: number
  /** Seconds that a token must have left whatever the caller says (API-90). */
  readonly servingFloorS: number
  /** How long running requests may take to end when the server stops. */
  readonly drainMs: number
}

export const defaultLimits: WorkloadLimits = {
  headerBytes: 8192,
  headerFields: 32,
  targetBytes: 4096,
  bodyBytes: 16_384,
  jsonDepth: 8,
  jsonMembers: 32,
  headersMs: 5000,
  bodyMs: 10_000,
  idleMs: 60_000,
  writeStallMs: 10_000,
  checkMs: 500,
  halfCloseMs: 100,
  connections: 256,
  tcpConnections: 128,
  adminReserve: 8,
  connectionsPerUid: 32,
  unanswered: 8,
  connectionAgeMs: 300_000,
  connectionRequests: 1000,
  identityMs: 250,
  acceptsPerS: 200,
  acceptBurst: 400,
  requestsPerS: 500,
  requestBurst: 1000,
  expensivePerS: 1,
  expensiveBurst: 5,
  servingFloorS: 5,
  drainMs: 5000,
}
