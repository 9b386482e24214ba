import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { serveApp } from './serve-app.ts'

/** An app that tells what happens to it, in order. */
function room() {
  const told: string[] = []
  const app = fastify({ logger: false })
  app.addHook('onReady', async () => void told.push('ready'))
  app.addHook('onClose', async () => {
    await new Promise((resolve) => setImmediate(resolve))
    told.push('closed')
  })
  return { told, create: () => app }
}

describe('an app that is served', () => {
  it('is ready before its server is bound, and closed before the task ends', async () => {
    const { told, create } = room()
    const stop = new AbortController()
    const listen = async () => {
      told.push('bound')
      return '/run/app.sock'
    }
    const onListening = (address: string) => {
      told.push(address)
      stop.abort()
    }
    await serveApp(create, { listen, onListening })(stop.signal)
    expect(told).toEqual(['ready', 'bound', '/run/app.sock', 'closed'])
  })

  it('is closed where it cannot be bound', async () => {
    const { told, create } = room()
    const listen = () => Promise.reject(new Error('in use'))
    await expect(serveApp(create, { listen })(new AbortController().signal)).rejects.toThrow('in use')
    expect(told).toEqual(['ready', 'closed'])
  })

  it('is not made where its signal has aborted', async () => {
    const create = () => expect.unreachable()
    await serveApp(create, { listen: { host: '127.0.0.1', port: 0 } })(AbortSignal.abort())
  })
})
