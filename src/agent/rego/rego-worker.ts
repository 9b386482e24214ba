import { parentPort, workerData } from 'node:worker_threads'
import { regoSprintf, Unformattable } from './rego-sprintf.ts'

/** What the thread of one policy is started with. */
export interface RegoSetup {
  /** URL of the library that runs compiled policies. */
  readonly library: string
  /** The compiled module, a `WebAssembly.Module`. */
  readonly module: object
  /** The text of a JSON object. */
  readonly data: Uint8Array
  /** JSON text of each value, by name. */
  readonly references: ReadonlyMap<string, string>
  /** In pages of 64 KiB. */
  readonly memory: { readonly initial: number; readonly maximum: number }
}

export type RegoTask =
  | { readonly do: 'inspect' }
  | {
      readonly do: 'evaluate'
      /** JSON text of the input document. */
      readonly input: Uint8Array
      readonly entrypoints: readonly string[]
      /** Milliseconds since the epoch: the time of the appraisal (POL-963). */
      readonly now: number
      /** Longest result set, in UTF-16 code units of its text. */
      readonly longestResult: number
    }

/** What a policy says of itself before it is asked anything. */
export interface RegoInventory {
  readonly entrypoints: readonly string[]
  readonly builtIns: readonly string[]
}

export type RegoAnswer =
  | { readonly inventory: RegoInventory }
  /** JSON texts of the result sets, in the order of the entrypoints. */
  | { readonly results: readonly string[] }
  | {
      readonly failure: string
      /** Not the policy failed, but what runs it. */
      readonly isOfEngine?: boolean
    }

type BuiltIns = Record<string, (...values: unknown[]) => unknown>

type WasmFunction = (...values: number[]) => number

/** What the policy has for the library, and the library for the policy. */
type Exports = Readonly<Record<string, WasmFunction>>
type Imports = Readonly<Record<string, WasmFunction>> & { readonly memory: { readonly buffer: ArrayBuffer } }

/** What is used of the library; its own types speak of browsers. */
interface Policy {
  readonly entrypoints: Readonly<Record<string, number>>
  readonly wasmInstance: BoundInstance
  setData(text: ArrayBuffer): void
  evaluate(input: ArrayBuffer, entrypoint: string): unknown
}

interface Library {
  readonly loadPolicySync: (module: object, memory: object, builtIns: BuiltIns) => Policy
}

type InstanceMaker = new (module: object, imports: { readonly env: Imports }) => { readonly exports: Exports }

const exactBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

function builtInsAt(now: number, { references }: RegoSetup): BuiltIns {
  const offered: BuiltIns = Object.create(null)
  offered['time.now_ns'] = () => now * 1_000_000
  offered['query_reference_value'] = (name) => {
    if (typeof name !== 'string') throw new TypeError('query_reference_value takes a name')
    return JSON.parse(references.get(name) ?? 'null')
  }
  return offered
}

class TooLong extends Error {}

/** The library is to make instances by their constructor and to ask them for built-ins; another is not trusted with a policy. */
class UnboundLibrary extends Error {}

/** Bytes of a text that a policy gives to the host: results, values of built-ins, its own lists. */
const longestText = 1 << 20
const longestAbort = 200

/** The bytes at `address` up to their NUL; `longest` and one more of a text that is longer. */
function bytesAt(buffer: ArrayBuffer, address: number, longest: number): Uint8Array {
  const start = address >>> 0
  const bytes = new Uint8Array(buffer).subarray(start, start + longest + 1)
  const end = bytes.indexOf(0)
  if (end < 0 && bytes.length <= longest) throw new TooLong('the policy gives a text that does not end')
  return end < 0 ? bytes : bytes.subarray(0, end)
}

/**
 * What the policy gives is parsed by the library however long it is, and a parser cannot be ended: a result of some twenty
 * million lists keeps it busy for minutes, while nothing can stop the thread. So every text is looked at where the library
 * gets its address: nothing of the policy runs between this look and the library's.
 */
class TextBounds {
  #memory: Imports['memory']
  #exports: Exports = {}
  #isTableAsked = false
  #builtIns: ReadonlyMap<string, unknown> | undefined

  constructor(memory: Imports['memory']) {
    this.#memory = memory
  }

  /** Numbers by name, as the library heard them: a policy may say something else when it is asked again. */
  get builtIns(): ReadonlyMap<string, unknown> {
    if (this.#builtIns === undefined) throw new UnboundLibrary()
    return this.#builtIns
  }

  /** What the policy has for the library. */
  bounded(exports: Exports): Exports {
    this.#exports = exports
    const { opa_eval } = exports
    const opa_json_dump: WasmFunction = (value = 0) => {
      const address = this.#of('opa_json_dump')(value)
      const text = this.#look(address)
      if (this.#isTableAsked) this.#builtIns ??= new Map(Object.entries(JSON.parse(text)))
      return address
    }
    const builtins: WasmFunction = () => {
      this.#isTableAsked = true
      return this.#of('builtins')()
    }
    const evaluating = opa_eval && ((...values: number[]) => this.#looked(opa_eval(...values)))
    return { ...exports, builtins, opa_json_dump, ...(evaluating ? { opa_eval: evaluating } : {}) }
  }

  /** What the library gives to policies. They print nothing: what a policy prints may be evidence. */
  imports({ memory, ...functions }: Imports): Imports {
    const opa_abort = (address: number): never => {
      throw new TextDecoder().decode(bytesAt(memory.buffer, address, longestAbort))
    }
    const calls = Object.entries(functions).map(([name, call]) => [name, this.#called(call)])
    return { ...Object.fromEntries(calls), opa_abort, opa_println: () => 0, memory }
  }

  /** `sprintf` is ours by however many values it is called. That of the library knows no bounds, and differs from OPA's. */
  #called(call: WasmFunction): WasmFunction {
    return (builtIn = 0, context = 0, ...values) => {
      if (this.#builtIns === undefined) throw new TypeError('the policy calls before it is loaded')
      const isSprintf = Number(this.#builtIns.get('sprintf') ?? Number.NaN) === builtIn
      return isSprintf ? this.#formatted(values) : call(builtIn, context, ...values)
    }
  }

  #formatted(values: readonly number[]): number {
    const [format, list, ...others] = values.map((value) => this.#look(this.#of('opa_json_dump')(value)))
    if (format === undefined || list === undefined || others.length > 0) {
      throw new Unformattable('sprintf takes a text and an array of values')
    }
    const bytes = new TextEncoder().encode(JSON.stringify(regoSprintf(format, list, longestText)))
    const address = this.#of('opa_malloc')(bytes.length)
    new Uint8Array(this.#memory.buffer).set(bytes, address >>> 0)
    return this.#of('opa_json_parse')(address, bytes.length)
  }

  #of(name: string): WasmFunction {
    const exported = this.#exports[name]
    if (exported === undefined) throw new TypeError('the module was checked for its exports')
    return exported
  }

  #looked(address: number): number {
    this.#look(address)
    return address
  }

  #look(address: number): string {
    const text = bytesAt(this.#memory.buffer, address, longestText)
    if (text.length > longestText) throw new TooLong(`the policy gives more than ${longestText} bytes`)
    return new TextDecoder().decode(text)
  }
}

/** Types of Node 20 do not speak of WebAssembly, which it has. */
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: { Instance: InstanceMaker } }
const Unbounded = wasm.Instance

class BoundInstance {
  readonly exports: Exports
  readonly bounds: TextBounds

  constructor(module: object, { env }: { readonly env: Imports }) {
    this.bounds = new TextBounds(env.memory)
    this.exports = this.bounds.bounded(new Unbounded(module, { env: this.bounds.imports(env) }).exports)
  }
}

/** A fresh instance, with a memory of its own: nothing of an evaluation is left for the next one (POL-961). */
function instantiate(library: Library, setup: RegoSetup, now: number): Policy {
  const policy = library.loadPolicySync(setup.module, { ...setup.memory }, builtInsAt(now, setup))
  if (!(policy.wasmInstance instanceof BoundInstance)) throw new UnboundLibrary()
  policy.setData(exactBuffer(setup.data))
  return policy
}

function inventoryOf({ wasmInstance, entrypoints }: Policy): RegoInventory {
  return { entrypoints: Object.keys(entrypoints), builtIns: [...wasmInstance.bounds.builtIns.keys()] }
}

function evaluate(policy: Policy, task: Extract<RegoTask, { do: 'evaluate' }>): RegoAnswer {
  const input = exactBuffer(task.input)
  const results = task.entrypoints.map((entrypoint) => {
    const text = JSON.stringify(policy.evaluate(input, entrypoint)) ?? ''
    if (text.length > task.longestResult) throw new TooLong(`${entrypoint} gives ${text.length} characters`)
    return text
  })
  return { results }
}

/**
 * What goes into logs and answers. Messages of parsers quote what they could not parse, which may be evidence: of most errors
 * only the name is told. What a policy says when it aborts is text of its compiler.
 */
function describe(error: unknown): string {
  if (typeof error === 'string') return `the policy aborted: ${error.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)}`
  if (error instanceof TooLong || error instanceof Unformattable) return error.message
  const { name, message } = (error ?? {}) as { readonly name?: unknown; readonly message?: unknown }
  const notOffered = /^not implemented: built-in function \d{1,10}: ([\w.]{1,128})$/.exec(String(message))
  if (notOffered) return `the built-in ${notOffered[1]} is not offered (POL-963)`
  const isTrap = name === 'RuntimeError' || name === 'LinkError'
  return isTrap ? `the policy was stopped: ${String(message).slice(0, 200)}` : `the policy failed: ${String(name)}`
}

function perform(library: Library, setup: RegoSetup, task: RegoTask): RegoAnswer {
  try {
    if (task.do === 'inspect') return { inventory: inventoryOf(instantiate(library, setup, 0)) }
    return evaluate(instantiate(library, setup, task.now), task)
  } catch (error) {
    if (error instanceof UnboundLibrary) return { failure: 'the library cannot be bounded', isOfEngine: true }
    return { failure: describe(error) }
  }
}

async function serve(port: NonNullable<typeof parentPort>, setup: RegoSetup): Promise<void> {
  wasm.Instance = BoundInstance
  const library: Library = await import(setup.library).then(({ default: all }) => all)
  port.on('message', (task: RegoTask) => port.postMessage(perform(library, setup, task)))
  port.postMessage('ready')
}

if (parentPort) await serve(parentPort, workerData)
