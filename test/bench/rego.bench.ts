import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openRegoPolicy } from '../../src/agent/rego/open-rego-policy.ts'
import { encodeInput } from '../../src/policies/rego/input-text.ts'
import { regoInputs } from '../../src/policies/rego/rego-input.ts'
import { appraiseGuest, verifiedClaims } from '../../src/verifier/index.ts'
import { builtProgram } from '../support/built-program.ts'
import { compare, comparison } from '../support/comparison.ts'
import { assembleOpaPolicy } from '../support/opa-policies.ts'
import { sha256Of } from '../support/rego-bundles.ts'
import { SimulatedGuest } from '../support/simulated-guest.ts'
import { testNow } from '../support/test-ca.ts'

interface Library {
  readonly loadPolicySync: (
    wasm: Uint8Array,
    memory: object,
  ) => { evaluate(input: ArrayBuffer, entrypoint: string): unknown; setData(data: object): void }
}

const wasm = assembleOpaPolicy({
  entrypoints: {
    'policy/trust_claims': ['[{"result":{"hardware":2,"executables":2,"configuration":2}}]'],
    'policy/extensions': ['[{"result":[{"name":"status","key":1,"value":"', { inputAfter: '"tcb_status":"' }, '"}]}]'],
  },
})
const entrypoints = ['policy/trust_claims', 'policy/extensions']

function treesOfGuest() {
  const guest = new SimulatedGuest()
  const seed = new Uint8Array(48).fill(7)
  const evidence = guest.both(seed)
  const facts = { tee: 'tdx', freshness: 'challenge', now: testNow, simulator: true, documents: true } as const
  return verifiedClaims(appraiseGuest(evidence, guest.inputs(seed)), evidence, facts)
}

/** What the thread, the bounds and the reading of results cost: the policy itself is assembled by hand and does nothing. */
comparison('a policy for the Rego engine', async () => {
  const program = await builtProgram()
  const entry = pathToFileURL(resolve(program, '../rego/rego-worker.js'))
  const require = createRequire(import.meta.url)
  const library = require('@open-policy-agent/opa-wasm') as Library
  const folder = mkdtempSync(join(tmpdir(), 'attestd-rego-bench-'))
  const bundle = join(folder, 'policy.wasm')
  writeFileSync(bundle, wasm)
  const config = { bundle, sha256: sha256Of(wasm), class: 'cpu' } as const
  const trees = treesOfGuest()
  const input = () => new Uint8Array(encodeInput(regoInputs('cpu', { trees })[0] ?? {})).buffer
  const kept = library.loadPolicySync(wasm, { initial: 5 })
  const locate = () => require.resolve('@open-policy-agent/opa-wasm')
  const policy = await openRegoPolicy(config, { locate, entry })
  try {
    await compare('an evaluation', [
      {
        name: 'the library, one instance for all, no thread and no deadline',
        role: 'floor',
        run: () => entrypoints.map((name) => kept.evaluate(input(), name)),
      },
      {
        name: 'the library, compiling for each',
        role: 'peer',
        run: () => {
          const fresh = library.loadPolicySync(wasm, { initial: 5, maximum: 2048 })
          fresh.setData({})
          return entrypoints.map((name) => fresh.evaluate(input(), name))
        },
      },
      {
        name: 'a thread with a deadline, a fresh instance',
        role: 'ours',
        run: () => policy.evaluate({ trees }, testNow),
      },
    ])
  } finally {
    await policy[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
})
