// No client of anybody: tries to reach the address and port that it is told, and says which networks it is in.
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { takeTurns } from './turns.mjs'

await takeTurns(async (line) => {
  const [host, port] = line.split(' ')
  const socket = connect({ host, port: Number(port) })
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
  return { networks: Object.keys(networkInterfaces()) }
})
