// `node --expose-gc td-soak.mjs FOLDER COUNT`: appraises quotes with the code built in FOLDER, and prints as JSON what
// memory they take. A process of its own, so that nothing else is in its heap.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

const [, , folder = '', total = '0'] = process.argv
const { createSimulator } = await import(join(folder, 'mocks/tdx/simulator.js'))
const { appraiseQuote, createQuoteMemo } = await import(join(folder, 'src/verifier/index.js'))

const count = Number(total)
const hour = 3_600_000
let now = Date.now()
const simulator = createSimulator({ clock: { now: () => now } })
const trustAnchors = [simulator.pki.anchor]
const memo = createQuoteMemo({ maximum: 16 })
let collateral = simulator.collateral()

/** Every second quote comes from a PCK certificate that was never seen before, so that the memo has to forget. */
function freshQuote(at) {
  const own = at % 2 === 0 ? {} : { pckValidity: { notBefore: now - hour, notAfter: now + at * 1000 + hour } }
  return simulator.quote({ version: at % 3 === 0 ? 5 : 4, reportData: randomBytes(64), ...own })
}

/** One in ten is damaged somewhere, and must not be verified. */
function appraiseOne(at) {
  if (at % 50 === 0) {
    now += 1000
    collateral = simulator.collateral({ issued: now })
  }
  const quote = freshQuote(at)
  const damaged = at % 10 === 9
  if (damaged) quote[at % 600] ^= 1
  const { verified } = appraiseQuote(quote, { collateral, trustAnchors, now, reportData: 'any', simulated: true, memo })
  if (verified === damaged) throw new Error(`quote ${at} is ${damaged ? '' : 'not '}verified`)
}

async function memory() {
  for (let round = 0; round < 4; round++) {
    globalThis.gc()
    await new Promise((wake) => setImmediate(wake))
  }
  const { heapUsed, external } = process.memoryUsage()
  return { heapUsed, external }
}

async function soak() {
  const marks = []
  for (let at = 1; at <= count; at++) {
    appraiseOne(at)
    if (at === count / 2 || at === count) marks.push(await memory())
  }
  return marks
}

/** All of them are held at once, each with its own quote. */
async function hold(held) {
  const quotes = Array.from({ length: held }, () => freshQuote(0))
  const inputs = { collateral, trustAnchors, now, reportData: 'any', simulated: true, memo }
  appraiseQuote(quotes[0], inputs)
  const before = await memory()
  const appraisals = await Promise.all(quotes.map(async (quote) => appraiseQuote(quote, inputs)))
  const peakRss = process.resourceUsage().maxRSS * 1024
  const after = await memory()
  if (!appraisals.every(({ verified }) => verified)) throw new Error('a quote is not verified')
  const each = (name) => (after[name] - before[name]) / held
  return { held, heapEach: each('heapUsed'), externalEach: each('external'), peakRss }
}

const marks = await soak()
process.stdout.write(JSON.stringify({ marks, held: await hold(1000) }))
