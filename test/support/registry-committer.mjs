import { openHost } from '../../dist/src/agent/wiring/host.js'
import { openRegistryStore } from '../../dist/src/agent/wiring/registry-store.js'

/**
 * Says what it finds in the registry at the place that its argument names, and then commits progress as fast as it can:
 * each time two records and an outcome that carry one number, which it says once they are acknowledged.
 */
const place = JSON.parse(process.argv[2] ?? '{}')
const say = (line) => process.stdout.write(`${line}\n`)
const keys = ['000ba1', '000ba2']

const numberOf = ({ record, version }) => {
  const [first = 0] = record.checkpoint ?? []
  const isWhole = record.checkpoint?.every((byte) => byte === first) ?? true
  const clock = Number(record.counters?.clock ?? 0)
  const isOne = clock === record.lastSeen && first === clock % 251 && version === clock
  return isWhole && isOne ? clock : `torn: ${clock} ${record.lastSeen} ${first} ${version}`
}

const recordAt = (akName, number) => ({
  ...{ akName, ekName: `${akName}ee`, akPublic: Uint8Array.of(1), ekPublic: Uint8Array.of(2), ekSpkiSha256: 'aa' },
  ...{ ekCertSha256: null, ekNotAfter: null, certificates: [], anchor: null, identity: akName, instanceId: null },
  ...{ crlStatus: null, crlFreshUntil: null, trust: 'ek-pinned', simulated: false, created: 1, lastSeen: number },
  counters: { resetCount: 1, restartCount: 0, clock: BigInt(number), safe: true },
  checkpoint: new Uint8Array(4000).fill(number % 251),
  ...{ firmwareVersion: null, state: { is: 'active' } },
})

const entryAt = (at) => ({
  ...{ at, affirmed: true, failed: [], counters: null, firmwareVersion: null, evidenceSha256: null, changes: [] },
})

const store = await openRegistryStore(place, openHost())
const found = await Promise.all(keys.map((key) => store.findByAk(key)))
const [last] = await store.history(keys[0])
const numbers = [...found.map((stored) => (stored === null ? 0 : numberOf(stored))), last?.at ?? 0]
say(`found ${numbers.every((number) => number === numbers[0]) ? numbers[0] : `different: ${numbers}`}`)

for (let number = Number(numbers[0]) + 1; ; number++) {
  const changes = keys.map((key) => ({ record: recordAt(key, number), expected: number === 1 ? null : number - 1 }))
  const done = await store.commit(changes, [{ akName: keys[0], entry: entryAt(number) }])
  say(done ? `done ${number}` : `refused ${number}`)
  if (!done) break
}

await store[Symbol.asyncDispose]()
