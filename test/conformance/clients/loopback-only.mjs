// Loaded before a client: a connection to any host but this one, and those that its URL names, is refused and told (RC-05).
// What is refused here would otherwise be a look-up of a cloud's address, with the token behind it.
import { Socket } from 'node:net'

const named = new URL(import.meta.url).searchParams.getAll('also')
const local = new Set(['127.0.0.1', 'localhost', '::1', ...named])
const connect = Socket.prototype.connect
Socket.prototype.connect = function guarded(...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args
  const { host, path } = typeof first === 'object' && first !== null ? first : { host: args[1] }
  if (path === undefined && !local.has(host ?? 'localhost')) {
    process.stderr.write(`asked for another host: ${host}\n`)
    throw Object.assign(new Error(`only loopback is reached: ${host}`), { code: 'ENETUNREACH' })
  }
  return connect.apply(this, args)
}
