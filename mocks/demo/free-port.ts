import { randomInt } from 'node:crypto'
import { createServer, type ListenOptions } from 'node:net'

/** Linux takes ports for outgoing connections from 32768 on. */
const belowEphemeral = { from: 16_384, to: 32_768 }

/** Listens there and gives what ends it; null where somebody listens already. */
async function listening(options: ListenOptions): Promise<(() => Promise<void>) | null> {
  const server = createServer().listen(options)
  const free = await new Promise<boolean>((resolve) => {
    server.once('listening', () => resolve(true)).once('error', () => resolve(false))
  })
  server.unref()
  return free ? () => new Promise((resolve) => server.close(() => resolve())) : null
}

/**
 * A port of loopback that nobody listens on now, that no connection is given by the system, and that nobody else is
 * given while this process lives: until somebody listens there, a name in the abstract namespace holds it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(belowEphemeral.from, belowEphemeral.to)
    if ((await listening({ path: `\0attestd-demo/port/${port}` })) === null) continue
    const stop = await listening({ host: '127.0.0.1', port })
    if (stop === null) continue
    await stop()
    return port
  }
}
