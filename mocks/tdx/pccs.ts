import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Clock } from '../../src/base/clock.ts'
import type { CollateralOptions } from './collateral.ts'
import {
  answerPccsRequest,
  type CrlForm,
  emptyAnswer,
  type PccsAnswer,
  type PccsRequest,
  readPccsRequest,
} from './pccs-answers.ts'
import { answerUnder, type PccsFault, PccsFaults, publicationUnder } from './pccs-faults.ts'
import type { SimulatedPki } from './pki.ts'

export interface PccsOptions {
  readonly pki: SimulatedPki
  /** `now` dates what is issued; `sleep` makes answers slow. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  /** On 127.0.0.1; default a free one. */
  readonly port?: number
  /** PEM. Default: plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly crlForm?: CrlForm
  readonly upperCaseOnly?: boolean
}

/** A provisioning service of the simulated maker that runs (TDX-285). */
export interface RunningPccs extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly url: string
  readonly faults: PccsFaults
  /** Targets of all requests, in order. */
  readonly requests: readonly string[]
  /** From now on the maker publishes this besides the usual; what was issued before is not served any more. */
  publish(options: CollateralOptions): void
  close(): Promise<void>
}

const hour = 3_600_000

class Pccs {
  readonly requests: string[] = []
  readonly faults = new PccsFaults()
  readonly #options: PccsOptions
  /** By what was asked for: like a real service, one document is issued once and served often. */
  #issued = new Map<string, { readonly at: number; readonly answer: PccsAnswer }>()
  #published: CollateralOptions = {}

  constructor(options: PccsOptions) {
    this.#options = options
  }

  publish(options: CollateralOptions): void {
    this.#published = options
    this.#issued.clear()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/'
    this.requests.push(target)
    const { pki, crlForm = null, upperCaseOnly = false } = this.#options
    const rules = { fmspc: pki.platform.fmspc, crlForm, upperCaseOnly }
    const understood: PccsRequest =
      request.method === 'GET' ? readPccsRequest(target, rules) : { item: 'none', status: 405 }
    if (understood.item === 'none') return send(response, emptyAnswer(understood.status))
    const fault = this.faults.take(understood.item)
    const answer = this.#answer(understood, fault)
    if (fault?.kind === 'silent') return
    if (fault?.kind === 'slow') await this.#options.clock.sleep(fault.ms)
    if (fault?.kind === 'truncated') return sendHalf(response, answer)
    send(response, fault ? answerUnder(fault, answer) : answer)
  }

  #answer(request: PccsRequest, fault: PccsFault | undefined): PccsAnswer {
    const { pki, clock } = this.#options
    const now = clock.now()
    if (fault?.kind === 'rollback' || fault?.kind === 'forged') {
      const { issued, options } = publicationUnder(fault, pki, now)
      return answerPccsRequest(request, { pki, issued, options: { ...this.#published, ...options } })
    }
    const key = JSON.stringify(request)
    const kept = this.#issued.get(key)
    if (kept && Math.abs(now - kept.at) < hour) return kept.answer
    const answer = answerPccsRequest(request, { pki, issued: now, options: this.#published })
    this.#issued.set(key, { at: now, answer })
    return answer
  }
}

function send(response: ServerResponse, { status, headers, body }: PccsAnswer): void {
  response.writeHead(status, { ...headers, 'content-length': body.length })
  response.end(body)
}

function sendHalf(response: ServerResponse, { status, headers, body }: PccsAnswer): void {
  response.writeHead(status, { ...headers, 'content-length': body.length })
  response.write(body.subarray(0, body.length >> 1), () => response.destroy())
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await ended
}

/** Starts the service on loopback. */
export async function startPccs(options: PccsOptions): Promise<RunningPccs> {
  const pccs = new Pccs(options)
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    pccs
      .handle(request, response)
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  }
  const server = options.tls ? createTlsServer(options.tls, answer) : createServer(answer)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port on loopback')
  const close = () => closed(server)
  return {
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${address.port}`,
    faults: pccs.faults,
    requests: pccs.requests,
    publish: (published) => pccs.publish(published),
    close,
    [Symbol.asyncDispose]: close,
  }
}
