import { once } from 'node:events'
import type { Server } from 'node:net'
import { takeActivatedSockets } from '../../platform/activated-sockets.ts'
import { listenUnix, type SocketMode } from '../../platform/unix-listener.ts'
import type { Configuration } from '../configuration/schema.ts'
import { agentErrors } from '../errors.ts'
import type { Host } from './host.ts'

/** By name, mode: workloads of the group may open it, or its owner alone. The names are those of FileDescriptorName=. */
const modes = { api: 0o660, admin: 0o600, cred: 0o600, cs: 0o660, fly: 0o660 } as const satisfies Readonly<
  Record<string, SocketMode>
>

export type ListenerName = keyof typeof modes

const names = Object.keys(modes) as ListenerName[]
const ownerOnly = names.filter((name) => modes[name] === 0o600)

/** Binds the listeners: to the descriptors that the service manager passed, else to the configured paths. */
export interface Listeners {
  readonly passed: ReadonlySet<string>
  listen(name: ListenerName, server: Server): Promise<void>
}

/** Where each listener binds by itself; undefined: it is not configured. */
function pathsOf({ listen, compat }: Configuration): Readonly<Record<ListenerName, string | undefined>> {
  return {
    api: listen.api,
    admin: listen.admin,
    cred: listen.cred,
    cs: compat.confidential_space?.socket,
    fly: compat.fly?.socket,
  }
}

/** Who connects to a socket that was passed and that nobody serves waits for ever. */
function requireServed(passed: Iterable<string>, paths: Readonly<Record<string, string | undefined>>): void {
  for (const name of passed) {
    if (name === 'cred' || paths[name] !== undefined) continue
    throw agentErrors.error(
      'SOCKET_UNSERVED',
      `a socket named '${name}' was passed, and nothing is configured for it`,
      {
        facts: { name },
      },
    )
  }
}

/** To be called once and first: it takes the descriptors out of the environment (SYS-11). */
export function openListeners(configuration: Configuration, { libc }: Host): Listeners {
  const passed = takeActivatedSockets({
    environment: process.env,
    pid: process.pid,
    libc,
    names,
    ownerOnly,
  })
  const paths = pathsOf(configuration)
  requireServed(passed.keys(), paths)
  return {
    passed: new Set(passed.keys()),
    listen: async (name, server) => {
      const fd = passed.get(name)
      if (fd === undefined) return listenUnix(server, requirePath(paths, name), modes[name])
      server.listen({ fd })
      await once(server, 'listening')
    },
  }
}

function requirePath(paths: ReturnType<typeof pathsOf>, name: ListenerName): string {
  const path = paths[name]
  if (path === undefined) throw new TypeError(`the listener ${name} is not configured`)
  return path
}
