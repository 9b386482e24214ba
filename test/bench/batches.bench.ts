import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { comparison, milliseconds, printTable } from '../support/comparison.ts'
import { EmbeddedMachine, embeddedIssuer, embeddedRequest } from '../support/embedded-machine.ts'

/**
 * What sharing a quote is worth: tokens with nonces of their own in a second, one request after the other against all at
 * once, on a device that takes as long as it is told. The peer is the same source, asked one by one.
 */
async function machineWith(quoteMs: number) {
  const machine = new EmbeddedMachine()
  machine.hook = async (call) => {
    if (call === 'collect') await new Promise((resolve) => setTimeout(resolve, quoteMs))
  }
  const { source, keys } = await machine.sourceAndKeys()
  const obtain = (at: number) =>
    source.obtainToken(
      embeddedRequest({ nonces: [`nonce-${String(at).padStart(6, '0')}`] }),
      new AbortController().signal,
    )
  await obtain(0)
  return { machine, obtain, keys }
}

async function perSecond(count: number, run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return (count / (performance.now() - start)) * 1000
}

comparison('tokens with nonces', async () => {
  const rows: string[][] = []
  for (const quoteMs of [0, 10, 100, 1000]) {
    const { machine, obtain, keys } = await machineWith(quoteMs)
    const lone = quoteMs >= 100 ? 5 : 50
    const alone = await perSecond(lone, async () => {
      for (let at = 1; at <= lone; at++) await obtain(at)
    })
    const quoted = machine.quoted.length
    const all = 1000
    let tokens: string[] = []
    const together = await perSecond(all, async () => {
      tokens = await Promise.all(Array.from({ length: all }, (_, at) => obtain(1000 + at)))
    })
    const verifier = createTokenVerifier({
      issuer: embeddedIssuer,
      audience: 'https://rp.example',
      keys: { jwks: { keys: keys.jwks().keys as Readonly<Record<string, unknown>>[] } },
      ...{ tee: ['tpm' as const], measurements: null, requireCommitment: true, clock: machine.clock },
    })
    const start = performance.now()
    for (const token of tokens) await verifier.accept(token)
    const verifying = (performance.now() - start) / all
    rows.push([
      `${quoteMs} ms`,
      alone.toFixed(1),
      together.toFixed(0),
      `${(together / alone).toFixed(0)}x`,
      String(machine.quoted.length - quoted),
      String(Math.max(...tokens.map(({ length }) => length))),
      milliseconds(verifying),
    ])
  }
  const head = [
    'a quote takes',
    'one by one, /s',
    'together, /s',
    'ratio',
    'quotes for 1 000',
    'longest token',
    'accept one',
  ]
  printTable('tokens with nonces of their own', [head, ...rows])
})
