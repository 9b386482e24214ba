import { once } from 'node:events'
import { createServer as createPlainServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { extension, issueCertificate, newKey } from '../../../mocks/tdx/certificates.ts'
import { implicit, sequence } from '../../../mocks/tdx/der.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { createCollateralTransport } from './collateral-transport.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listening(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function serve(answer: RequestListener): Promise<URL> {
  return new URL(`http://127.0.0.1:${await listening(createPlainServer(answer))}/x`)
}

const limits = (maxBytes = 1_048_576) => ({ maxBytes, signal: new AbortController().signal })
const transport = createCollateralTransport()

describe('an exchange (TDX-206)', () => {
  it('asks without credentials, and gives status, headers and body as they are', async () => {
    let asked: Record<string, unknown> = {}
    const url = await serve((request, response) => {
      asked = { method: request.method, ...request.headers }
      response.writeHead(461, { 'SGX-TCB-Info-Issuer-Chain': 'a%2Bb', 'set-cookie': ['a=1', 'b=2'] }).end('body')
    })
    const answer = await transport.get(url, limits())
    expect(answer.status).toBe(461)
    expect(answer.headers['sgx-tcb-info-issuer-chain']).toBe('a%2Bb')
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(new TextDecoder().decode(answer.body)).toBe('body')
    expect(asked).toMatchObject({ method: 'GET', 'accept-encoding': 'identity' })
    expect(Object.keys(asked)).not.toContain('authorization')
    expect(Object.keys(asked)).not.toContain('cookie')
  })

  it('does not follow redirects', async () => {
    let count = 0
    const url = await serve((_, response) => {
      count++
      response.writeHead(302, { location: '/y' }).end()
    })
    expect((await transport.get(url, limits())).status).toBe(302)
    expect(count).toBe(1)
  })

  it.each([
    ['announced', true],
    ['not announced', false],
  ])('takes a body of the limit and not one of a byte more, %s', async (_, announced) => {
    const url = await serve((request, response) => {
      const body = Buffer.alloc(Number(new URL(request.url ?? '', 'http://h').searchParams.get('size')))
      if (announced) response.setHeader('content-length', body.length)
      response.end(body)
    })
    const sized = (size: number) => new URL(`?size=${size}`, url)
    expect((await transport.get(sized(1_000), limits(1_000))).body).toHaveLength(1_000)
    await expect(transport.get(sized(1_001), limits(1_000))).rejects.toThrow('longer than 1000 bytes')
  })

  it('takes headers of a long chain, and not more than 64 KiB', async () => {
    const url = await serve((request, response) => {
      const size = Number(new URL(request.url ?? '', 'http://h').searchParams.get('size'))
      response.writeHead(200, { 'x-chain': 'x'.repeat(size) }).end()
    })
    const sized = (size: number) => new URL(`?size=${size}`, url)
    expect((await transport.get(sized(60_000), limits())).headers['x-chain']).toHaveLength(60_000)
    await expect(transport.get(sized(66_000), limits())).rejects.toThrow(/headers/i)
  })

  it('ends with its signal, also in the middle of a body', async () => {
    const stop = new AbortController()
    const url = await serve((_, response) => {
      response.writeHead(200)
      response.write('begin', () => stop.abort(new Error('over')))
    })
    await expect(transport.get(url, { maxBytes: 100, signal: stop.signal })).rejects.toThrow('over')
  })

  it('rejects where nobody listens', async () => {
    await expect(transport.get(new URL('http://127.0.0.1:1/'), limits())).rejects.toThrow('ECONNREFUSED')
  })
})

describe('the certificate of the server (TDX-206)', () => {
  const year = 365 * 86_400_000
  const key = newKey()
  const place = {
    commonName: 'pccs',
    key,
    serial: 5n,
    distributionPoint: 'https://simulator.invalid/',
    pathLength: null,
  }
  const address = (...octets: number[]) => extension('2.5.29.17', false, sequence(implicit(7, Uint8Array.from(octets))))
  const certificateFor = (...octets: number[]) =>
    encodePem(
      issueCertificate({
        ...place,
        issuer: { commonName: 'pccs', key },
        notBefore: Date.now() - year,
        notAfter: Date.now() + year,
        extensions: [address(...octets)],
      }),
      'CERTIFICATE',
    )
  const tlsUrl = async (cert: string) => {
    const pem = String(key.export({ type: 'pkcs8', format: 'pem' }))
    const server = createTlsServer({ key: pem, cert }, (_, response) => response.end('secret'))
    return new URL(`https://127.0.0.1:${await listening(server)}/`)
  }

  it('is verified, whatever the environment says', async () => {
    const url = await tlsUrl(certificateFor(127, 0, 0, 1))
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      await expect(createCollateralTransport().get(url, limits())).rejects.toThrow(/self.signed/)
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    }
  })

  it('may be of a private authority, and must be for the host', async () => {
    const good = certificateFor(127, 0, 0, 1)
    await expect(createCollateralTransport({ ca: good }).get(await tlsUrl(good), limits())).resolves.toHaveProperty(
      'status',
      200,
    )
    const other = certificateFor(10, 0, 0, 1)
    await expect(createCollateralTransport({ ca: other }).get(await tlsUrl(other), limits())).rejects.toThrow(
      /does not match|altnames/,
    )
  })

  it('is not looked at only where that is asked for', async () => {
    const url = await tlsUrl(certificateFor(10, 0, 0, 1))
    const blind = createCollateralTransport({ verifyCertificate: false })
    await expect(blind.get(url, limits())).resolves.toHaveProperty('status', 200)
  })
})
