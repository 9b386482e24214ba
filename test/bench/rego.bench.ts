import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openRegoPolicy, type RegoPolicy } from '../../src/agent/rego/open-rego-policy.ts'
import { type Policy, PreparedPolicy } from '../../src/policies/index.ts'
import { encodeInput } from '../../src/policies/rego/input-text.ts'
import { regoInputs } from '../../src/policies/rego/rego-input.ts'
import { appraiseGuest, verifiedClaims } from '../../src/verifier/index.ts'
import { builtProgram } from '../support/built-program.ts'
import { compare, comparison } from '../support/comparison.ts'
import { service } from '../support/policy-evaluations.ts'
import { sha256Of } from '../support/rego-bundles.ts'
import { RegoCompiler } from '../support/rego-compiler/compile-rego.ts'
import { SimulatedGuest } from '../support/simulated-guest.ts'
import { testNow } from '../support/test-ca.ts'
import { twentyRefusals, twentyRules } from '../support/twenty-rules.ts'

interface LoadedPolicy {
  evaluate(input: object, entrypoint: string): unknown
  setData(data: object): void
}

interface Library {
  readonly loadPolicySync: (wasm: Uint8Array, memory: object) => LoadedPolicy
}

const require = createRequire(import.meta.url)
const library = require('@open-policy-agent/opa-wasm') as Library
const entrypoints = ['policy/trust_claims', 'policy/extensions']

/** What a policy gives is the same whatever runs it, or nothing is worth comparing. */
function requireSame(what: string, ...answers: readonly unknown[]): void {
  const texts = answers.map((answer) => JSON.stringify(answer))
  if (new Set(texts).size !== 1) throw new TypeError(`${what}: ${texts.join(' and ')}`)
}

async function withOpened(wasm: Uint8Array, run: (policy: RegoPolicy) => Promise<void>): Promise<void> {
  const entry = pathToFileURL(resolve(await builtProgram(), '../rego/rego-worker.js'))
  const folder = mkdtempSync(join(tmpdir(), 'attestd-rego-bench-'))
  const bundle = join(folder, 'policy.wasm')
  writeFileSync(bundle, wasm)
  const locate = () => require.resolve('@open-policy-agent/opa-wasm')
  const policy = await openRegoPolicy({ bundle, sha256: sha256Of(wasm), class: 'cpu' }, { locate, entry })
  try {
    await run(policy)
  } finally {
    await policy[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
}

const claims = Array.from({ length: 100 }, (_, at) => ({
  ...{ type: `claim.${at}`, value: 'ab'.repeat(48), issuer: 'AttestationService' },
}))
const documentOf = (given: typeof claims) =>
  Object.fromEntries(given.map(({ type, value, issuer }) => [type, { value, issuer }]))
const ours = (given: typeof claims) => given.map(({ type, value }) => service(type, value))
const sorted = (token: object) => Object.entries(token).sort(([left], [right]) => (left < right ? -1 : 1))
const prepared = (policy: Policy) => new PreparedPolicy(policy, { profile: 'attestd' })

/** The claims become the input document beforehand; its text is made each time, as by everybody who has claims. */
comparison('20 rules on 100 claims, beside OPA', async () => {
  const { ours: policy, rego } = twentyRules()
  const compiler = new RegoCompiler()
  const kept = library.loadPolicySync(compiler.compile({ text: rego, entrypoints: ['policy/answer'] }), { initial: 5 })
  const [document, given, here] = [documentOf(claims), ours(claims), prepared(policy)]
  const whole = JSON.stringify(document)
  await withOpened(compiler.compile({ text: rego, entrypoints }), async (threaded) => {
    const inThread = () => threaded.evaluateInputs([encodeInput(document)], testNow)
    const [answer] = kept.evaluate(document, 'policy/answer') as [{ result: { token: object } }]
    const tokens = [here.evaluate(given), await inThread()].map((one) => (one.verdict === 'permit' ? one.token : {}))
    requireSame('tokens', ...[answer.result.token, ...tokens].map(sorted))
    await compare('20 rules on 100 claims (peer: OPA 0.47, compiled to WebAssembly)', [
      { name: 'the document as text, and back', role: 'floor', run: () => JSON.parse(whole) },
      { name: 'OPA, one instance for all', role: 'peer', run: () => kept.evaluate(document, 'policy/answer') },
      { name: 'prepared, in the policy language', role: 'ours', run: () => here.evaluate(given) },
      { name: 'the same Rego in its thread, two entrypoints', role: 'ours', run: inThread },
    ])
  })
})

comparison('twenty refusals, beside OPA', async () => {
  const { ours: policy, rego } = twentyRefusals()
  const wasm = new RegoCompiler().compile({ text: rego, entrypoints: ['policy/allow'] })
  const kept = library.loadPolicySync(wasm, { initial: 5 })
  const here = prepared(policy)
  const refused = claims.map((claim) => (claim.type === 'claim.28' ? { ...claim, value: 'no' } : claim))
  const [document, given] = [documentOf(claims), ours(claims)]
  await withOpened(wasm, async (threaded) => {
    const inThread = (of = document) => threaded.evaluateInputs([encodeInput(of)], testNow)
    for (const one of [claims, refused, claims.slice(1)]) {
      const [{ result }] = kept.evaluate(documentOf(one), 'policy/allow') as [{ result: boolean }]
      const [text, thread] = [here.evaluate(ours(one)), await inThread(documentOf(one))]
      requireSame('verdicts', result, text.verdict === 'permit', thread.verdict === 'permit')
    }
    await compare('20 refusals on 100 claims (peer: OPA 0.47, compiled to WebAssembly)', [
      { name: 'a Map of the claims', role: 'floor', run: () => new Map(given.map((claim) => [claim.type, claim])) },
      { name: 'OPA, one instance for all', role: 'peer', run: () => kept.evaluate(document, 'policy/allow') },
      { name: 'prepared, in the policy language', role: 'ours', run: () => here.evaluate(given) },
      { name: 'the same Rego in its thread', role: 'ours', run: () => inThread() },
    ])
  })
})

const forGuests = `package policy
import future.keywords
default hardware = 97
hardware = 2 { input.tdx.tcb_status in {"UpToDate", "OutOfDate"} }
kinds := {event.type_name | some event in input.tdx.uefi_event_logs}
trust_claims := {"hardware": hardware, "executables": 2, "configuration": 2}
extensions := [
  {"name": "status", "key": 1, "value": input.tdx.tcb_status},
  {"name": "kinds", "key": 2, "value": count(kinds)},
]`

function treesOfGuest() {
  const guest = new SimulatedGuest()
  const seed = new Uint8Array(48).fill(7)
  const evidence = guest.both(seed)
  const facts = { tee: 'tdx', freshness: 'challenge', now: testNow, simulator: true, documents: true } as const
  return verifiedClaims(appraiseGuest(evidence, guest.inputs(seed)), evidence, facts)
}

/** What the thread, the fresh instance and the bounds cost on the claims of a guest. */
comparison('a policy for the Rego engine', async () => {
  const wasm = new RegoCompiler().compile({ text: forGuests, entrypoints })
  const trees = treesOfGuest()
  const input = () => new Uint8Array(encodeInput(regoInputs('cpu', { trees })[0] ?? {})).buffer
  const kept = library.loadPolicySync(wasm, { initial: 5 })
  const ask = (policy: LoadedPolicy) => entrypoints.map((name) => policy.evaluate(input(), name))
  const compiledAnew = () => {
    const fresh = library.loadPolicySync(wasm, { initial: 5, maximum: 2048 })
    fresh.setData({})
    return ask(fresh)
  }
  await withOpened(wasm, async (policy) => {
    const evaluated = await policy.evaluate({ trees }, testNow)
    if (evaluated.verdict === 'error') throw new TypeError(evaluated.error.message)
    await compare('an evaluation of the claims of a guest, compiled by OPA 0.47', [
      { name: 'the library, one instance for all, no thread, no deadline', role: 'floor', run: () => ask(kept) },
      { name: 'the library, compiling for each', role: 'peer', run: compiledAnew },
      {
        name: 'a thread with a deadline, a fresh instance',
        role: 'ours',
        run: () => policy.evaluate({ trees }, testNow),
      },
    ])
  })
})
