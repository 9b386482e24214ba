import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { QuoteVerifier } from '@phala/dcap-qvl'
import { freePort } from '../../mocks/demo/free-port.ts'
import { signToken } from '../../src/issuer/sign-token.ts'
import { generateSigningKey } from '../../src/issuer/signing-key.ts'
import { appraiseTdx, createQuoteMemo } from '../../src/verifier/index.ts'
import { type QuotedRequest, quotedRequest } from '../support/attestation-bodies.ts'
import { type AttestationLoad, runAttestationLoad } from '../support/attestation-load.ts'
import { compare, comparison, milliseconds, printTable } from '../support/comparison.ts'
import { takeLag } from '../support/loop-lag.ts'
import { megabytes, processorMs, type Room, type Served, withVerifier } from '../support/measured-verifier.ts'
import { peerCollateral } from '../support/peer-collateral.ts'

const path = '/v1/attestation'
const [loadMs, warmUpMs] = [4000, 3000]

/** A bare `node:http` server that reads the body and answers with as many bytes, in a process of its own. */
async function withBare(bytes: number, use: (server: Served) => Promise<void>): Promise<void> {
  const port = await freePort()
  const program = `const body = 'x'.repeat(${bytes})
require('node:http').createServer((request, answer) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    Buffer.concat(chunks)
    answer.writeHead(200, { 'content-type': 'application/jwt', 'content-length': body.length }).end(body)
  })
}).listen(${port}, '127.0.0.1', () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  try {
    await use({ port, pid: child.pid ?? 0 })
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

interface Scene extends Pick<AttestationLoad, 'clients' | 'perS'> {
  readonly name: string
}

const scenes: readonly Scene[] = [
  { name: '1 connection, as fast as it can', clients: 1, perS: null },
  { name: '8 connections, as fast as they can', clients: 8, perS: null },
  { name: '16 connections, as fast as they can', clients: 16, perS: null },
  { name: '64 connections, as fast as they can', clients: 64, perS: null },
  { name: '16 connections, 50 requests/s', clients: 16, perS: 50 },
]

const at = (times: readonly number[], share: number) => times[Math.floor(times.length * share)] ?? Number.NaN

interface Measured {
  readonly times: readonly number[]
  /** Tokens a second. */
  readonly perS: number
  readonly refused: number
  /** Milliseconds for each token, with what was refused meanwhile. */
  readonly cpu: number
}

async function measure(scene: Scene, bodies: string, { port, pid }: Served): Promise<Measured> {
  const load = { ...scene, port, path, bodies, ms: loadMs }
  await runAttestationLoad({ ...load, ms: warmUpMs })
  const before = processorMs(pid)
  const { times } = await runAttestationLoad(load)
  const [served, refused] = [times[200] ?? [], times[503] ?? []]
  const others = Object.keys(times).filter((status) => status !== '200' && status !== '503')
  if (others.length > 0) throw new Error(`a request of the load was answered with ${others}`)
  const cpu = (processorMs(pid) - before) / served.length
  return { times: served, perS: (served.length * 1000) / loadMs, refused: (refused.length * 1000) / loadMs, cpu }
}

async function printScene(scene: Scene, bodies: string, room: Room, bare: Served): Promise<void> {
  const floor = await measure(scene, bodies, bare)
  await takeLag(room.served.pid, room.lagFile)
  const ours = await measure(scene, bodies, room.served)
  const lag = await takeLag(room.served.pid, room.lagFile)
  const row = (what: string, { times, perS, refused, cpu }: Measured) => [
    what,
    ...[0.5, 0.99].map((share) => milliseconds(at(times, share))),
    perS.toFixed(0),
    refused.toFixed(0),
    milliseconds(cpu),
    ...[at(times, 0.5) / at(floor.times, 0.5), perS / floor.perS, cpu / floor.cpu].map((ratio) => ratio.toFixed(2)),
  ]
  printTable(scene.name, [
    ['', 'p50', 'p99', 'tokens/s', '503/s', 'CPU each', 'p50 × floor', 'tokens/s × floor', 'CPU × floor'],
    row('floor: bare node:http', floor),
    row('POST /v1/attestation', ours),
  ])
  const [late, longest, work] = [lag.p99, lag.longest, lag.longestWork].map(milliseconds)
  const memory = megabytes(room.verifier.residentBytes())
  process.stdout.write(
    `  event-loop lag p99 ${late}, longest ${longest}, longest work of its thread ${work}; RSS ${memory}\n`,
  )
}

/** One request at a time in the same rounds as what it cannot do without, and as a verifier of others. */
async function compareOne(requests: readonly QuotedRequest[], { machine, served }: Room, bare: Served): Promise<void> {
  const { sim } = machine
  const collateral = sim.collateral()
  const key = await generateSigningKey('RS256')
  const inputs = { collateral, trustAnchors: [sim.pki.anchor], simulator: true, memo: createQuoteMemo() }
  const peer = new QuoteVerifier(Buffer.from(sim.pki.root.certificate))
  const forPeer = peerCollateral(collateral)
  let turn = 0
  const next = () => requests[turn++ % requests.length] ?? fail('no request')
  const post = async ({ port }: Served) => {
    const client = `10.${(turn >> 8) & 255}.${turn & 255}.2`
    const init = { method: 'POST', headers: { 'x-forwarded-for': client }, body: next().body }
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, init)
    if (answer.status !== 200) fail(await answer.text())
    await answer.text()
  }
  const appraise = ({ quote, ccEventLog, reportData }: QuotedRequest) => {
    const evidence = { quote, ccEventLog, simulated: false }
    const { affirmed, claims } = appraiseTdx(evidence, { ...inputs, reportData, now: Date.now() })
    return affirmed ? claims : fail('a quote is not affirmed')
  }
  await compare(
    'one request',
    [
      { name: 'bare node:http', role: 'floor', run: () => post(bare) },
      { name: 'appraiseTdx with memo, and RS256', role: 'floor', run: () => signToken(appraise(next()) as never, key) },
      { name: 'appraiseTdx with memo', role: 'floor', run: () => appraise(next()) },
      { name: 'RS256 alone', role: 'floor', run: () => signToken({ iss: 'a', aud: 'a' }, key) },
      {
        name: '@phala/dcap-qvl',
        role: 'peer',
        run: () => peer.verify(Buffer.from(next().quote), forPeer, Date.now() / 1000),
      },
      { name: 'POST /v1/attestation', role: 'ours', run: () => post(served) },
    ],
    { ms: 8000, warmUp: 50, inARow: 5 },
  )
}

function fail(why: string): never {
  throw new Error(why)
}

/** Tokens have about this many bytes. */
const tokenBytes = 2500

async function printAll(events: number): Promise<void> {
  await withVerifier(async (room) => {
    const requests = Array.from({ length: 64 }, () => quotedRequest(room.machine, events))
    const bodies = join(room.folder, 'bodies.json')
    writeFileSync(bodies, JSON.stringify(requests.map(({ body }) => body)))
    process.stdout.write(
      `\n  RSS at rest ${megabytes(room.verifier.residentBytes())}; bodies of ${requests[0]?.body.length} bytes\n`,
    )
    await withBare(tokenBytes, async (bare) => {
      await compareOne(requests, room, bare)
      for (const scene of scenes) await printScene(scene, bodies, room, bare)
    })
  })
}

comparison('attestation of TDs, quotes alone', () => printAll(0))
comparison('attestation of TDs, beside logs of 150 events', () => printAll(150))
