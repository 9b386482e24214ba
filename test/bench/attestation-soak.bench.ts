import { readdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { quotedRequest } from '../support/attestation-bodies.ts'
import { runAttestationLoad } from '../support/attestation-load.ts'
import { comparison, printTable } from '../support/comparison.ts'
import { megabytes, type Room, withVerifier } from '../support/measured-verifier.ts'

/** A minute of the service with honest clients, wrong ones, some that hang up, and some that never end their body. */

const rounds = 6
const path = '/v1/attestation'

const openFiles = ({ served }: Room) => readdirSync(`/proc/${served.pid}/fd`).length

/** Each begins a body and hangs up in its middle, or goes on byte by byte for a while. */
async function beginBodies({ served }: Room, round: number): Promise<void> {
  const begun = Array.from({ length: 60 }, async (_, at) => {
    const socket = net.connect(served.port, '127.0.0.1').on('error', () => undefined)
    const client = `X-Forwarded-For: 10.200.${round}.${at}`
    socket.write(`POST ${path} HTTP/1.1\r\nHost: v\r\n${client}\r\nContent-Length: 100000\r\n\r\n{"tee":"tdx",`)
    for (let sent = 0; sent < at % 20; sent++) {
      socket.write(' ')
      await pause(100)
    }
    socket.destroy()
  })
  await Promise.all(begun)
}

/** Events of the log, with how many there were of each. */
function eventsOf(log: string): string {
  const counts = new Map<string, number>()
  for (const line of log.split('\n').filter(Boolean)) {
    const event = line.startsWith('{') ? String(JSON.parse(line).event) : 'no JSON'
    counts.set(event, (counts.get(event) ?? 0) + 1)
  }
  return [...counts].map(([event, count]) => `${event} ${count}`).join(', ')
}

async function soak(room: Room): Promise<void> {
  const write = (name: string, all: readonly string[]) => {
    const file = join(room.folder, name)
    writeFileSync(file, JSON.stringify(all))
    return file
  }
  const requests = Array.from({ length: 64 }, () => quotedRequest(room.machine, 150).body)
  const unsigned = requests.map((body) => body.replace(/"raw":"..../, '"raw":"AAAA'))
  const [good, wrong] = [write('good.json', requests), write('wrong.json', [...unsigned, '{', '[]', '{"tee":"sgx"}'])]
  const load = { port: room.served.port, path, ms: 8000, clients: 8, perS: 60 }
  const row = (name: string) => [name, megabytes(room.verifier.residentBytes()), String(openFiles(room))]
  const rows = [['', 'RSS', 'descriptors'], row('at rest')]
  await runAttestationLoad({ ...load, bodies: good })
  rows.push(row('warm'))
  const logged = room.verifier.log.length
  for (let round = 1; round <= rounds; round++) {
    await Promise.all([
      runAttestationLoad({ ...load, bodies: good }),
      runAttestationLoad({ ...load, bodies: wrong }),
      beginBodies(room, round),
    ])
    rows.push(row(`after ${round * 8} s`))
  }
  await pause(25_000)
  rows.push(row('25 s later'))
  printTable('memory of the verifier service', rows)
  process.stdout.write(`  logged meanwhile: ${eventsOf(room.verifier.log.slice(logged))}\n`)
}

comparison('a minute of the verifier service', () => withVerifier(soak))
