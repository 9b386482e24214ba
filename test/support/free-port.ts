import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Linux takes ports for outgoing connections from 32768 on. */
const belowEphemeral = { from: 16_384, to: 32_768 }

async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1')
  const free = await new Promise<boolean>((resolve) => {
    probe.once('listening', () => resolve(true)).once('error', () => resolve(false))
  })
  if (free) await new Promise((resolve) => probe.close(resolve))
  return free
}

/** A port of loopback that nobody listens on now, and that no connection is given by the system. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(belowEphemeral.from, belowEphemeral.to)
    if (await isFree(port)) return port
  }
}
