import { regoErrors } from './errors.ts'
import { type MemoryPages, readWasmInterface, type WasmInterface, type WasmTable } from './wasm-module.ts'

/** Pages of 64 KiB: no policy gets more (POL-961). */
export const mostMemoryPages = 2048

/** Entries of its table of functions: compiled policies have some thousands, and a table is beside the memory. */
export const mostTableEntries = 65_536

/** Pages that the library gives to policies that do not say. */
const usualMemoryPages = 5

/** What has to be known of a compiled policy before it runs. */
export interface OpaModule {
  readonly minorVersion: number
  /** Of the memory that it is to get. */
  readonly memory: { readonly initial: number; readonly maximum: number }
  /** Null if it has none. */
  readonly table: WasmTable | null
}

const abiVersion = 1

/** Minor version from which one call evaluates. */
const oneCall = 2

const hostFunctions = ['opa_abort', 'opa_println', ...Array.from({ length: 5 }, (_, at) => `opa_builtin${at}`)]

const alwaysExported = [
  ...['builtins', 'entrypoints', 'opa_malloc', 'opa_json_parse', 'opa_json_dump'],
  ...['opa_heap_ptr_get', 'opa_heap_ptr_set'],
]
const evaluatingExports = {
  oneCall: ['opa_eval'],
  byContext: [
    ...['eval', 'opa_eval_ctx_new', 'opa_eval_ctx_set_input', 'opa_eval_ctx_set_data'],
    ...['opa_eval_ctx_set_entrypoint', 'opa_eval_ctx_get_result'],
  ],
}

const unreadable = (problem: string) => regoErrors.error('REGO_BUNDLE_UNREADABLE', `policy.wasm ${problem}`)

function constant(found: WasmInterface, name: string): number | undefined {
  const exported = found.exports.get(name)
  return exported?.kind === 'global' ? found.constantOf(exported.index) : undefined
}

function requireVersion(found: WasmInterface): number {
  const [major, minor] = [constant(found, 'opa_wasm_abi_version'), constant(found, 'opa_wasm_abi_minor_version')]
  if (major === undefined || minor === undefined) throw unreadable('does not say for which ABI it was compiled')
  if (major !== abiVersion || minor < 0) throw unreadable(`is of ABI ${major}.${minor}; 1.x is what runs here`)
  return minor
}

/** The policy gets a memory and the functions of the ABI, and could not be given anything else. */
function requireImports({ imports }: WasmInterface): void {
  for (const { module, name, kind } of imports) {
    const isKnown = kind === 'memory' ? name === 'memory' : kind === 'function' && hostFunctions.includes(name)
    if (module !== 'env' || !isKnown) throw unreadable(`imports the ${kind} ${JSON.stringify(`${module}.${name}`)}`)
  }
}

function requireExports({ exports }: WasmInterface, minorVersion: number): void {
  const evaluating = minorVersion >= oneCall ? evaluatingExports.oneCall : evaluatingExports.byContext
  const lacking = [...alwaysExported, ...evaluating].filter((name) => exports.get(name)?.kind !== 'function')
  if (lacking.length > 0) throw unreadable(`does not export ${lacking.join(', ')}`)
}

/** What tables hold is beside the memory, and counts in no limit of the thread. */
function requireTable({ ownTables }: WasmInterface): WasmTable | null {
  const [table, ...others] = ownTables
  if (others.length > 0) throw unreadable(`has ${others.length + 1} tables`)
  if (table === undefined) return null
  if (table.minimum <= mostTableEntries) return table
  throw unreadable(`has a table of ${table.minimum} entries; ${mostTableEntries} are given (POL-961)`)
}

/** A memory of its own would have no other limit than its address space. */
function requireMemory({ importedMemories, ownMemories }: WasmInterface): MemoryPages {
  const [memory, ...others] = importedMemories
  if (memory === undefined || others.length > 0 || ownMemories > 0) throw unreadable('does not import its one memory')
  if (memory.minimum > mostMemoryPages) {
    throw unreadable(`needs ${memory.minimum} pages of memory; ${mostMemoryPages} are given (POL-961)`)
  }
  return memory
}

/**
 * Judges by imports, exports and constants of a module whether it is a policy that was compiled for ABI 1.x (POL-960), and
 * says how much memory it gets (POL-961). Nothing of it runs. Throws `REGO_BUNDLE_UNREADABLE`, or `MalformedError` for what
 * is no WebAssembly.
 */
export function requireOpaModule(bytes: Uint8Array): OpaModule {
  const found = readWasmInterface(bytes, 'policy.wasm')
  const minorVersion = requireVersion(found)
  requireImports(found)
  requireExports(found, minorVersion)
  const table = requireTable(found)
  const { minimum, maximum } = requireMemory(found)
  const most = Math.min(mostMemoryPages, maximum ?? mostMemoryPages)
  const memory = { initial: Math.min(Math.max(minimum, usualMemoryPages), most), maximum: most }
  return { minorVersion, memory, table }
}
