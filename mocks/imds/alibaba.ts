import { randomBytes } from 'node:crypto'
import { type DoubleAnswer, type HttpDouble, openHttpDouble, type ReceivedRequest } from '../sts/double-server.ts'
import type { IssuedCredentials } from '../sts/issued-credentials.ts'

const credentialsPath = '/latest/meta-data/ram/security-credentials/'
const longestSessionS = 21_600

export interface AlibabaMetadataOptions {
  /** Role of the instance; null: it has none. Asked at every request. */
  readonly role: () => string | null
  /** `Code` of the document of the role; default `Success`. */
  readonly code?: () => string
  /** Whether an instance of the first days answers: no sessions, reads without a token. */
  readonly tokenless?: () => boolean
  /** Milliseconds since the epoch; default the clock of this process. */
  readonly now?: () => number
  /** Life of the credentials in seconds; default six hours. */
  readonly lifeS?: () => number
}

/** A double of the instance metadata of Alibaba Cloud ECS, for as much of it as leads to the credentials of a role. */
export interface AlibabaMetadata extends HttpDouble {
  /** What it gave, the oldest first. */
  readonly issued: readonly IssuedCredentials[]
}

const text = (status: number, body: string): DoubleAnswer => ({ status, type: 'text/plain', body })
const absent = text(404, 'Not Found')

const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`

class Metadata {
  readonly issued: IssuedCredentials[] = []
  /** End of each session by its token, in milliseconds. */
  readonly #sessions = new Map<string, number>()
  readonly #options: AlibabaMetadataOptions
  readonly #now: () => number

  constructor(options: AlibabaMetadataOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  answer(request: ReceivedRequest): DoubleAnswer {
    if (request.target === '/latest/api/token') return this.#openSession(request)
    if (request.method !== 'GET') return text(405, 'Method Not Allowed')
    return this.#mayRead(request) ? this.#read(request.target) : text(401, 'Unauthorized')
  }

  /** IMDS-01: a proxy that passes on whatever it is told gets no session. */
  #openSession({ method, headers }: ReceivedRequest): DoubleAnswer {
    if (this.#options.tokenless?.()) return absent
    if (method !== 'PUT') return text(405, 'Method Not Allowed')
    if (headers['x-forwarded-for'] !== undefined) return text(403, 'Forbidden')
    const asked = String(headers['x-aliyun-ecs-metadata-token-ttl-seconds'] ?? '')
    const ttlS = /^[1-9][0-9]{0,4}$/.test(asked) ? Number(asked) : 0
    if (ttlS < 1 || ttlS > longestSessionS) return text(400, 'Bad Request')
    const token = randomBytes(42).toString('base64')
    this.#sessions.set(token, this.#now() + ttlS * 1000)
    return text(200, token)
  }

  #mayRead({ headers }: ReceivedRequest): boolean {
    const token = headers['x-aliyun-ecs-metadata-token']
    if (token === undefined) return this.#options.tokenless?.() ?? false
    return typeof token === 'string' && (this.#sessions.get(token) ?? 0) > this.#now()
  }

  #read(target: string): DoubleAnswer {
    const role = this.#options.role()
    if (role === null) return absent
    if (target === credentialsPath) return text(200, role)
    return target === credentialsPath + role ? this.#issue() : absent
  }

  #issue(): DoubleAnswer {
    const nowMs = this.#now()
    const expiration = time(nowMs + (this.#options.lifeS?.() ?? 21_600) * 1000)
    const [accessKeyId, secret] = [`STS.${randomBytes(12).toString('hex')}`, randomBytes(22).toString('base64url')]
    const given = { accessKeyId, secret, securityToken: randomBytes(96).toString('base64'), expiration }
    this.issued.push(given)
    const document = {
      AccessKeyId: given.accessKeyId,
      AccessKeySecret: given.secret,
      Expiration: expiration,
      SecurityToken: given.securityToken,
      LastUpdated: time(nowMs),
      Code: this.#options.code?.() ?? 'Success',
    }
    return { status: 200, type: 'application/json', body: JSON.stringify(document) }
  }
}

/**
 * Opens the double on any port of loopback. Programs look for it at 100.100.100.200, port 80, which has to lead there.
 * Strict: reads need a session that has not ended (IMDS-01, IMDS-04), and what is not there is 404.
 */
export async function openAlibabaMetadata(options: AlibabaMetadataOptions): Promise<AlibabaMetadata> {
  const metadata = new Metadata(options)
  return Object.assign(await openHttpDouble((request) => metadata.answer(request)), { issued: metadata.issued })
}
