import { randomBytes } from 'node:crypto'
import { createSimulator, type SimulatedTdx } from '../../mocks/tdx/simulator.ts'
import { concatBytes } from '../../src/base/bytes.ts'
import { parsePemBlocks } from '../../src/base/pki/pem.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import { type Collateral, parseCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { cutSignedObject } from '../../src/endorsements/tdx/signed-document.ts'
import { parseTcbInfo } from '../../src/endorsements/tdx/tcb-info.ts'
import { encodeQuote, parseQuote } from '../../src/evidence/tdx/quote.ts'
import { appraiseQuote, appraiseTdx } from '../../src/verifier/index.ts'
import { encodeCcEventLog } from '../support/cc-event-logs.ts'
import { type Contender, compare, comparison } from '../support/comparison.ts'

const mebibyte = 1_048_576
const effort = { ms: 2500, warmUp: 1, maxRounds: 60 }
const now = Date.now()

/** What is refused with `MalformedError` is refused: the time counts. */
function refusing(run: () => unknown): () => void {
  return () => {
    try {
      run()
    } catch {}
  }
}

const ours = (name: string, run: () => unknown): Contender => ({ name, role: 'ours', run: refusing(run) })

interface Rig {
  readonly simulator: SimulatedTdx
  readonly quote: Uint8Array
  readonly collateral: Collateral
}

function makeRig(): Rig {
  const simulator = createSimulator({ clock: { now: () => now } })
  return { simulator, quote: simulator.quote({ reportData: randomBytes(64) }), collateral: simulator.collateral() }
}

function appraising({ simulator, quote, collateral }: Rig) {
  const trustAnchors = [simulator.pki.anchor]
  return (bytes = quote, changed: Partial<Collateral> = {}) => {
    const inputs = { trustAnchors, now, reportData: 'any', simulated: true } as const
    return appraiseQuote(bytes, { ...inputs, collateral: { ...collateral, ...changed } })
  }
}

const began = (size: number, ...parts: readonly Uint8Array[]) => {
  const bytes = new Uint8Array(size)
  bytes.set(concatBytes(...parts))
  return bytes
}

function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts)
  const { length } = content
  const size = length < 0x80 ? [length] : [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  return concatBytes(Uint8Array.of(tag, ...size), content)
}

const time = element(0x17, Buffer.from('250101000000Z'))
const revoked = (...more: readonly Uint8Array[]) =>
  element(0x30, element(2, Uint8Array.of(1, ...randomBytes(7))), time, ...more)
const repeated = (count: number, make: () => Uint8Array) => concatBytes(...Array.from({ length: count }, make))

/** A list in the form of a real one; nobody signed it. Lengths are written longer than DER allows where they are short. */
function listOf({ collateral }: Rig, entries: Uint8Array): Uint8Array {
  const { issuer, tbs, signature } = parseCrl(collateral.pckCrl)
  const algorithm = element(0x30, Uint8Array.of(6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2))
  const extensions = tbs.subarray(tbs.lastIndexOf(0xa0))
  const signed = element(
    0x30,
    Uint8Array.of(2, 1, 1),
    algorithm,
    issuer.der,
    time,
    time,
    element(0x30, entries),
    extensions,
  )
  return element(0x30, signed, algorithm, element(3, Uint8Array.of(0), signature))
}

comparison('hostile quotes', async () => {
  const rig = makeRig()
  const appraise = appraising(rig)
  const size = 10 * mebibyte
  const parts = parseQuote(rig.quote)
  const certified = (text: string) => encodeQuote({ ...parts, certification: { type: 5, data: Buffer.from(text) } })
  const [begin, end] = ['-----BEGIN CERTIFICATE-----\n', '-----END CERTIFICATE-----\n']
  const chain = Buffer.from(parts.certification.data).toString('latin1')
  const quotes = {
    '10 MiB at random': randomBytes(size),
    '10 MiB of zeros': new Uint8Array(size),
    '10 MiB behind a true quote': began(size, rig.quote),
    '64 KiB, zeros behind a true quote': began(65_536, rig.quote),
    'lengths of 4 GiB': began(65_536, rig.quote.subarray(0, 632), new Uint8Array(4).fill(0xff)),
    'PEM: lines of one character': certified(`${begin}${'A\n'.repeat(15_000)}${end}`),
    'PEM: a thousand BEGIN lines': certified(begin.repeat(1_100)),
    'PEM: four hundred blocks': certified(`${begin}MAA=\n${end}`.repeat(480)),
    'PEM: line feeds behind the chain': certified(chain.trimEnd() + '\n'.repeat(28_000)),
    'three certificates of 4 000 elements': certified(
      `${begin}${Buffer.from(
        element(
          0x30,
          repeated(3_000, () => Uint8Array.of(5, 0)),
        ),
      )
        .toString('base64')
        .replace(/.{64}/g, '$&\n')}\n${end}`.repeat(3),
    ),
  }
  const contenders = Object.entries(quotes).map(([name, bytes]) => ours(name, () => appraise(bytes)))
  await compare(
    'refused, or verified where the bytes allow it',
    [ours('the quote itself', () => appraise()), ...contenders],
    effort,
  )
})

comparison('hostile collateral', async () => {
  const rig = makeRig()
  const appraise = appraising(rig)
  const deep = '{"a":'.repeat(170_000)
  const reason = element(0x30, element(0x30, Uint8Array.of(6, 3, 0x55, 0x1d, 21), element(4, Uint8Array.of(10, 1, 1))))
  const long = listOf(
    rig,
    repeated(24_000, () => revoked(reason)),
  )
  const collaterals: Readonly<Record<string, Partial<Collateral>>> = {
    'TCB info of 1 MiB, 170 000 levels deep': { tcbInfo: deep },
    'TCB info of 1 Mi characters that are no ASCII': { tcbInfo: '€'.repeat(mebibyte) },
    'both documents so': { tcbInfo: '€'.repeat(mebibyte), qeIdentity: '€'.repeat(mebibyte) },
    'issuer chain of 8 MiB': { tcbInfoIssuerChain: 'A'.repeat(8 * mebibyte) },
    [`list of ${long.length} bytes, 24 000 entries`]: { pckCrl: long },
    'list of 1 MiB of empty elements': { pckCrl: element(0x30, new Uint8Array(mebibyte - 100)) },
  }
  const contenders = Object.entries(collaterals).map(([name, changed]) =>
    ours(name, () => appraise(undefined, changed)),
  )
  await compare('refused', [ours('the collateral itself', () => appraise()), ...contenders], effort)
})

comparison('hostile messages of a provisioning service', async () => {
  const rig = makeRig()
  const signature = `"signature":"${'0'.repeat(128)}"`
  const long = listOf(
    rig,
    repeated(24_000, () => revoked()),
  )
  const levels = JSON.stringify({ tcbLevels: Array.from({ length: 999 }, (_, at) => ({ tcb: { pcesvn: at } })) })
  const digits = Array.from({ length: 90_000 }, (_, at) => `"${(at * 7_919) % 900_000}":0`).join(',')
  const text = {
    escapes: `{"tcb_info":"${'\\n'.repeat(4_100_000)}"}`,
    lists: `[${'[],'.repeat(2_700_000)}[]]`,
    answer: Buffer.from(`{"tcbInfo":{"a":"${'x'.repeat(2_000_000)}"},${signature}}`),
    nested: Buffer.from('{"tcbInfo":'.repeat(190_000)),
    members: `{${digits}}`,
    lines: `-----BEGIN X-----\n${'A\n'.repeat(mebibyte)}-----END X-----\n`,
  }
  const contenders = [
    ours('bundle of 8 MiB of escapes', () => parseCollateral(text.escapes)),
    ours('bundle of 8 MiB of empty lists', () => parseCollateral(text.lists)),
    ours('answer of 2 MiB, one text', () => cutSignedObject(text.answer, 'tcbInfo')),
    ours('answer of 2 MiB, nested', () => cutSignedObject(text.nested, 'tcbInfo')),
    ours('TCB info of 90 000 numbered members', () => parseTcbInfo(text.members)),
    ours('TCB info of 999 levels', () => parseTcbInfo(levels)),
    ours(`list of ${long.length} bytes, 24 000 entries`, () => parseCrl(long)),
    ours('PEM of 2 MiB, lines of one character', () => parsePemBlocks(text.lines, 'X', { characters: 3 * mebibyte })),
  ]
  await compare('parsed, or refused', contenders, effort)
})

comparison('hostile event logs', async () => {
  const { simulator, quote, collateral } = makeRig()
  const inputs = { trustAnchors: [simulator.pki.anchor], now, reportData: 'any', collateral } as const
  const judging = (ccEventLog: Uint8Array) => () => appraiseTdx({ quote, ccEventLog, simulated: true }, inputs)
  await compare(
    'appraised beside a true quote',
    [
      ours('usual: 150 events', judging(encodeCcEventLog(150, 180))),
      ours('4 MiB: 60 000 events', judging(encodeCcEventLog(60_000, 3))),
      ours('4 MiB: one event', judging(encodeCcEventLog(1, 4 * mebibyte - 200))),
      ours('4 MiB at random', judging(randomBytes(4 * mebibyte))),
      ours('10 MiB of zeros', judging(new Uint8Array(10 * mebibyte))),
    ],
    effort,
  )
})
