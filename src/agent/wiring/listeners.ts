import { once } from 'node:events'
import type { Server } from 'node:http'
import { takeActivatedSockets } from '../../platform/activated-sockets.ts'
import { listenUnix, type SocketMode } from '../../platform/unix-listener.ts'
import type { Configuration } from '../configuration/schema.ts'
import type { Host } from './host.ts'

export type ListenerName = 'api' | 'admin'

const modes: Readonly<Record<ListenerName, SocketMode>> = { api: 0o660, admin: 0o600 }

/** Binds the listeners: to the descriptors that the service manager passed, else to the configured paths. */
export interface Listeners {
  readonly passed: ReadonlySet<string>
  listen(name: ListenerName, server: Server): Promise<void>
}

/** To be called once and first: it takes the descriptors out of the environment (SYS-11). */
export function openListeners({ listen }: Configuration, { libc }: Host): Listeners {
  const passed = takeActivatedSockets({
    environment: process.env,
    pid: process.pid,
    libc,
    names: ['api', 'admin'],
    ownerOnly: ['admin'],
  })
  return {
    passed: new Set(passed.keys()),
    listen: async (name, server) => {
      const fd = passed.get(name)
      if (fd === undefined) return listenUnix(server, listen[name], modes[name])
      server.listen({ fd })
      await once(server, 'listening')
    },
  }
}
