import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { RawClient } from '../../../test/support/raw-http.ts'
import { makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import { BodyBytes } from './body-bytes.ts'
import { serveVerifier, type VerifierServerOptions } from './verifier-server.ts'

/** Bodies that are made to take memory or time, and nothing else. */

const kibibyte = 1024

it('the bytes of a body are the same in whatever pieces they came', () => {
  const body = new BodyBytes()
  const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251)
  for (let at = 0; at < bytes.length; at += 777) body.add(bytes.subarray(at, at + 777))
  expect([body.length, Buffer.compare(body.bytes(), bytes)]).toEqual([bytes.length, 0])
})

describe('a service whose clients send hostile bodies', () => {
  let rig: VerifierRig
  let stop: AbortController
  beforeAll(async () => {
    rig = await makeVerifierRig(new FakeClock(undefined, 1))
  })
  beforeEach(() => {
    stop = new AbortController()
  })
  afterEach(() => stop.abort())

  const serve = (change: Partial<VerifierServerOptions> = {}) =>
    new Promise<{ readonly host: string; readonly port: number }>((resolve, reject) => {
      const onListening = (address: string) => resolve({ host: '127.0.0.1', port: Number(new URL(address).port) })
      const options = rig.options({ rate: { perS: 1e9, burst: 1e9 }, ...change })
      const listen = { host: '127.0.0.1', port: 0 }
      serveVerifier({ ...options, listen, onListening })(stop.signal).catch(reject)
    })
  const head = (...fields: readonly string[]) =>
    `POST /v1/attestation HTTP/1.1\r\nHost: v\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
  const codeOf = async (client: RawClient) => {
    const [answer] = await client.answers(1)
    return [answer?.status, JSON.parse(answer?.body ?? '{}').code]
  }

  it('refuses a body in crumbs before it has cut the heap into pieces', async () => {
    const client = new RawClient(await serve())
    client.write(head('Transfer-Encoding: chunked') + '1\r\n \r\n'.repeat(8192))
    expect(await codeOf(client)).toEqual([400, 'AS.REQUEST.INVALID_ARGUMENT'])
  })

  it('takes a long body in pieces of the usual size', async () => {
    const client = new RawClient(await serve())
    const piece = `800\r\n${' '.repeat(0x800)}\r\n`
    client.write(`${head('Transfer-Encoding: chunked')}${piece.repeat(1024)}2\r\n{}\r\n0\r\n\r\n`)
    expect(await codeOf(client)).toEqual([400, 'AS.REQUEST.UNSUPPORTED_TEE'])
  })

  it('lets others go on between long bodies, packed or not', async () => {
    let rounds = 0
    const nextRound = async () => {
      rounds += 1
    }
    const to = await serve({ nextRound })
    const roundsFor = async (body: Buffer, ...headers: readonly string[]) => {
      const before = rounds
      const client = new RawClient(to)
      client.socket.write(Buffer.concat([Buffer.from(head(...headers, `Content-Length: ${body.length}`)), body]))
      expect(await codeOf(client)).toEqual([400, 'AS.REQUEST.UNSUPPORTED_TEE'])
      return rounds - before
    }
    const body = Buffer.from(`{}${' '.repeat(200 * kibibyte)}`)
    // One is of the request, which comes in turns with others; one of its body.
    expect(await roundsFor(Buffer.from('{}'))).toBe(1)
    expect(await roundsFor(body)).toBe(2)
    expect(await roundsFor(gzipSync(body), 'Content-Encoding: gzip')).toBe(2)
  })
})
