/** Bytes of instructions. All values are `i32`. */
export type Code = readonly number[]

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let left = value
  do {
    bytes.push((left % 128) + (left >= 128 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return bytes
}

function signed(value: number): number[] {
  const low = value & 0x7f
  const rest = value >> 7
  const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)
  return isLast ? [low] : [low | 0x80, ...signed(rest)]
}

const [end, nothing] = [0x0b, 0x40]

export const op = {
  unreachable: [0x00],
  return: [0x0f],
  drop: [0x1a],
  load: [0x28, 2, 0],
  loadByte: [0x2d, 0, 0],
  store: [0x36, 2, 0],
  storeByte: [0x3a, 0, 0],
  memorySize: [0x3f, 0],
  memoryGrow: [0x40, 0],
  memoryCopy: [0xfc, 0x0a, 0, 0],
  noFunction: [0xd0, 0x70],
  tableGrow: [0xfc, 0x0f, 0],
  isZero: [0x45],
  equal: [0x46],
  unequal: [0x47],
  below: [0x49],
  above: [0x4b],
  add: [0x6a],
  subtract: [0x6b],
  shiftLeft: [0x74],
  shiftRight: [0x76],
  constant: (value: number): Code => [0x41, ...signed(value)],
  get: (local: number): Code => [0x20, ...unsigned(local)],
  set: (local: number): Code => [0x21, ...unsigned(local)],
  getGlobal: (global: number): Code => [0x23, ...unsigned(global)],
  setGlobal: (global: number): Code => [0x24, ...unsigned(global)],
  call: (index: number): Code => [0x10, ...unsigned(index)],
  branch: (depth: number): Code => [0x0c, ...unsigned(depth)],
  branchIf: (depth: number): Code => [0x0d, ...unsigned(depth)],
  block: (...body: readonly Code[]): Code => [0x02, nothing, ...body.flat(), end],
  loop: (...body: readonly Code[]): Code => [0x03, nothing, ...body.flat(), end],
  when: (...body: readonly Code[]): Code => [0x04, nothing, ...body.flat(), end],
} as const

export interface Signature {
  readonly parameters: number
  readonly results: 0 | 1
}

export interface ImportedFunction extends Signature {
  readonly module: string
  readonly name: string
}

export interface WasmFunction extends Signature {
  /** Exported under it. */
  readonly name?: string
  /** Beside the parameters. */
  readonly locals?: number
  readonly body: Code
}

export interface WasmGlobal {
  readonly value: number
  readonly isMutable?: boolean
  readonly name?: string
}

export interface MemoryForm {
  readonly minimum: number
  readonly maximum?: number
}

export interface ModuleForm {
  readonly functionImports: readonly ImportedFunction[]
  readonly memoryImports: readonly MemoryForm[]
  readonly ownMemories?: readonly MemoryForm[]
  /** Of functions. */
  readonly tables?: readonly MemoryForm[]
  readonly functions: readonly WasmFunction[]
  readonly globals: readonly WasmGlobal[]
  readonly data: readonly { readonly at: number; readonly bytes: Uint8Array }[]
  /** Index of the function that runs when the module is instantiated. */
  readonly start?: number
}

const text = (value: string): number[] => {
  const bytes = [...new TextEncoder().encode(value)]
  return [...unsigned(bytes.length), ...bytes]
}

const list = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()]

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content]
}

const signatureBytes = ({ parameters, results }: Signature) => [
  0x60,
  ...unsigned(parameters),
  ...Array<number>(parameters).fill(0x7f),
  ...(results === 1 ? [1, 0x7f] : [0]),
]

const memoryBytes = ({ minimum, maximum }: MemoryForm) =>
  maximum === undefined ? [0, ...unsigned(minimum)] : [1, ...unsigned(minimum), ...unsigned(maximum)]

function codeBytes({ locals = 0, body }: WasmFunction): number[] {
  const content = [...(locals === 0 ? [0] : [1, ...unsigned(locals), 0x7f]), ...body, end]
  return [...unsigned(content.length), ...content]
}

function exportsOf(form: ModuleForm): number[][] {
  const functions = form.functions.flatMap(({ name }, at) =>
    name === undefined ? [] : [[...text(name), 0, ...unsigned(form.functionImports.length + at)]],
  )
  const globals = form.globals.flatMap(({ name }, at) =>
    name === undefined ? [] : [[...text(name), 3, ...unsigned(at)]],
  )
  return [...functions, ...globals]
}

/** Writes a WebAssembly module. Every function has a type of its own, which is legal. */
export function assembleModule(form: ModuleForm): Uint8Array {
  const { functionImports, memoryImports, ownMemories = [], tables = [], functions, globals, data, start } = form
  const imports = [
    ...functionImports.map(({ module, name }, at) => [...text(module), ...text(name), 0, ...unsigned(at)]),
    ...memoryImports.map((memory) => [...text('env'), ...text('memory'), 2, ...memoryBytes(memory)]),
  ]
  const globalBytes = globals.map(({ value, isMutable = false }) => [
    0x7f,
    isMutable ? 1 : 0,
    0x41,
    ...signed(value),
    end,
  ])
  const segments = data.map(({ at, bytes }) => [0, 0x41, ...signed(at), end, ...unsigned(bytes.length), ...bytes])
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list([...functionImports, ...functions].map(signatureBytes))),
    ...section(2, list(imports)),
    ...section(3, list(functions.map((_, at) => unsigned(functionImports.length + at)))),
    ...(tables.length > 0 ? section(4, list(tables.map((table) => [0x70, ...memoryBytes(table)]))) : []),
    ...(ownMemories.length > 0 ? section(5, list(ownMemories.map(memoryBytes))) : []),
    ...section(6, list(globalBytes)),
    ...section(7, list(exportsOf(form))),
    ...(start === undefined ? [] : section(8, unsigned(start))),
    ...section(10, list(functions.map(codeBytes))),
    ...section(11, list(segments)),
  ])
}
