// Runs in a network namespace of its own, where there is nothing: brings loopback up, listens on the addresses that it is
// told of, hands each connection on to a Unix socket, and runs a program. Ends when that does, as it did.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** `reached`: objects with `address`, `port` and `socket`; `command`: the program and its arguments. */
const { reached, command } = JSON.parse(process.argv[2])
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }

function requireIp(...args) {
  const { status, stderr } = spawnSync('ip', args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}

function join(client, beyond) {
  for (const [one, other] of [
    [client, beyond],
    [beyond, client],
  ]) {
    one.on('error', () => other.destroy()).on('close', () => other.destroy())
    one.pipe(other)
  }
}

requireIp('link', 'set', 'lo', 'up')
for (const address of new Set(reached.map((one) => one.address))) {
  if (!address.startsWith('127.')) requireIp('addr', 'add', `${address}/32`, 'dev', 'lo')
}
for (const { address, port, socket } of reached) {
  const server = createServer({ allowHalfOpen: true }, (client) =>
    join(client, connect({ path: socket, allowHalfOpen: true })),
  )
  server.listen(port, address)
  await once(server, 'listening')
}
const [program, ...args] = command
const [code] = await once(spawn(program, args, { stdio: 'inherit' }), 'exit')
process.exit(code ?? 1)
