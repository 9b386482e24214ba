import { assembleModule, type Code, type ModuleForm, op, type WasmFunction } from './wasm-assembler.ts'

/** A piece of the JSON text that an entrypoint gives. */
export type Piece =
  | string
  /** The string of the input document that follows these characters, up to its quotation mark; nothing where they are not. */
  | { readonly inputAfter: string }
  | { readonly whole: 'input' | 'data' }
  /** What a built-in gives, called with JSON texts. */
  | { readonly builtIn: string; readonly values: readonly string[] }

/** An entrypoint: the text of its result set, or instructions that leave the address of one. */
export type Entrypoint = readonly Piece[] | { readonly code: (host: typeof hostCalls) => Code }

export interface PolicyForm {
  readonly entrypoints: Readonly<Record<string, Entrypoint>>
  /** Names that the module says it uses, beside those in pieces. */
  readonly builtIns?: readonly string[]
  /** Default 1.3. */
  readonly abi?: readonly [major: number, minor: number]
  /** Changes the module before it is written. */
  readonly change?: (form: ModuleForm) => ModuleForm
  /** Instructions that run when the module is instantiated. */
  readonly start?: Code
  /** The text that `entrypoints()` gives, where it is to be another. */
  readonly entrypointText?: string
}

const hostFunctions = ['opa_abort', 'opa_println', ...Array.from({ length: 5 }, (_, at) => `opa_builtin${at}`)]

/** Calls of what the host has; built-ins take their number, a context, and values. */
export const hostCalls = {
  abort: op.call(0),
  print: op.call(1),
  builtIn: (values: number): Code => op.call(2 + values),
} as const

const globals = { heap: 0, input: 1, data: 2, major: 3, minor: 4 } as const
const own = { malloc: 0, parse: 1, find: 2, append: 3, lengthTo: 4 } as const
const ownCall = (name: keyof typeof own): Code => op.call(hostFunctions.length + own[name])

/** Pages are added where the heap ends behind the memory; what is refused is a trap. */
const growing: Code = [
  ...op.getGlobal(globals.heap),
  ...op.memorySize,
  ...op.constant(16),
  ...op.shiftLeft,
  ...op.above,
  ...op.when(
    op.getGlobal(globals.heap),
    op.constant(16),
    op.shiftRight,
    op.constant(1),
    op.add,
    op.memorySize,
    op.subtract,
    op.memoryGrow,
    op.constant(-1),
    op.equal,
    op.when(op.unreachable),
  ),
]

/** Takes a size, gives the address of as much at the end of the heap. */
const malloc: WasmFunction = {
  name: 'opa_malloc',
  parameters: 1,
  results: 1,
  locals: 1,
  body: [
    ...op.getGlobal(globals.heap),
    ...op.set(1),
    ...op.get(1),
    ...op.get(0),
    ...op.add,
    ...op.setGlobal(globals.heap),
    ...growing,
    ...op.get(1),
  ],
}

/** Values of this module are their JSON text, closed by NUL: parsing is copying. */
const parse: WasmFunction = {
  name: 'opa_json_parse',
  parameters: 2,
  results: 1,
  locals: 1,
  body: [
    ...[...op.get(1), ...op.constant(1), ...op.add, ...ownCall('malloc'), ...op.set(2)],
    ...[...op.get(2), ...op.get(0), ...op.get(1), ...op.memoryCopy],
    ...[...op.get(2), ...op.get(1), ...op.add, ...op.constant(0), ...op.storeByte],
    ...op.get(2),
  ],
}

/** The address behind the first place in text 0 that begins as text 1; 0 if there is none. */
const find: WasmFunction = {
  parameters: 2,
  results: 1,
  locals: 1,
  body: [
    ...op.loop(
      [...op.constant(0), ...op.set(2)],
      op.block(
        op.loop(
          [...op.get(1), ...op.get(2), ...op.add, ...op.loadByte, ...op.isZero],
          op.when([...op.get(0), ...op.get(2), ...op.add, ...op.return]),
          [...op.get(0), ...op.get(2), ...op.add, ...op.loadByte],
          [...op.get(1), ...op.get(2), ...op.add, ...op.loadByte, ...op.unequal, ...op.branchIf(1)],
          [...op.get(2), ...op.constant(1), ...op.add, ...op.set(2), ...op.branch(0)],
        ),
      ),
      [...op.get(0), ...op.loadByte, ...op.isZero],
      op.when([...op.constant(0), ...op.return]),
      [...op.get(0), ...op.constant(1), ...op.add, ...op.set(0), ...op.branch(0)],
    ),
    ...op.constant(0),
  ],
}

/** Copies text 0 as far as byte 1, which is left out, to the end of the heap. Address 0 is no text. */
const append: WasmFunction = {
  parameters: 2,
  results: 0,
  locals: 1,
  body: [
    ...op.get(0),
    ...op.isZero,
    ...op.when(op.return),
    ...[...op.get(0), ...op.get(1), ...ownCall('lengthTo'), ...op.set(2)],
    ...[...op.get(2), ...ownCall('malloc'), ...op.get(0), ...op.get(2), ...op.memoryCopy],
  ],
}

/** Bytes of text 0 in front of byte 1 or NUL. */
const lengthTo: WasmFunction = {
  parameters: 2,
  results: 1,
  locals: 1,
  body: [
    ...op.block(
      op.loop(
        [...op.get(0), ...op.get(2), ...op.add, ...op.loadByte, ...op.get(1), ...op.equal, ...op.branchIf(1)],
        [...op.get(0), ...op.get(2), ...op.add, ...op.loadByte, ...op.isZero, ...op.branchIf(1)],
        [...op.get(2), ...op.constant(1), ...op.add, ...op.set(2), ...op.branch(0)],
      ),
    ),
    ...op.get(2),
  ],
}

const quote = 0x22

/** Texts of the module, each closed by NUL. */
class Texts {
  readonly #utf8 = new TextEncoder()
  #bytes: number[] = []

  readonly start = 1024

  address(text: string): number {
    const at = this.start + this.#bytes.length
    for (const byte of this.#utf8.encode(text)) this.#bytes.push(byte)
    this.#bytes.push(0)
    return at
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#bytes)
  }

  /** Whole pages. */
  get end(): number {
    return Math.ceil((this.start + this.#bytes.length) / 65_536) * 65_536
  }
}

/** Locals of an entrypoint: where its text begins, and results of built-ins behind it. */
const [textBegins, firstResult] = [0, 1]

function appendPiece(piece: Piece, texts: Texts, result: number): Code {
  const until = (closing: number) => [...op.constant(closing), ...ownCall('append')]
  if (typeof piece === 'string') return [...op.constant(texts.address(piece)), ...until(0)]
  if ('whole' in piece) return [...op.getGlobal(globals[piece.whole]), ...until(0)]
  if ('builtIn' in piece) return [...op.get(result), ...until(0)]
  const found = [...op.getGlobal(globals.input), ...op.constant(texts.address(piece.inputAfter)), ...ownCall('find')]
  return [...found, ...until(quote)]
}

function entrypointFunction(entrypoint: Entrypoint, texts: Texts, numberOf: (builtIn: string) => number): WasmFunction {
  if ('code' in entrypoint) return { parameters: 0, results: 1, locals: 4, body: entrypoint.code(hostCalls) }
  const calls = entrypoint.flatMap((piece, at) => {
    if (typeof piece === 'string' || !('builtIn' in piece)) return []
    const values = piece.values.flatMap((value) => op.constant(texts.address(value)))
    const call = [
      ...op.constant(numberOf(piece.builtIn)),
      ...op.constant(0),
      ...values,
      ...hostCalls.builtIn(piece.values.length),
    ]
    return [...call, ...op.set(firstResult + at)]
  })
  const begin = [...op.constant(0), ...ownCall('malloc'), ...op.set(textBegins)]
  const pieces = entrypoint.flatMap((piece, at) => appendPiece(piece, texts, firstResult + at))
  const close = [...op.constant(1), ...ownCall('malloc'), ...op.constant(0), ...op.storeByte, ...op.get(textBegins)]
  return {
    parameters: 0,
    results: 1,
    locals: firstResult + entrypoint.length,
    body: [...calls, ...begin, ...pieces, ...close],
  }
}

const gives = (name: string, value: Code): WasmFunction => ({ name, parameters: 0, results: 1, body: value })

/** Address and value: what a field of a context is set to. */
const setter = (name: string, at: number): WasmFunction => ({
  name,
  parameters: 2,
  results: 0,
  body: [...op.get(0), ...op.constant(at), ...op.add, ...op.get(1), ...op.store],
})

const field = (at: number): Code => [...op.get(0), ...op.constant(at), ...op.add, ...op.load]
const context = { input: 0, data: 4, entrypoint: 8, result: 12, size: 16 } as const

/** `dispatch` takes the number of an entrypoint. */
function evaluating(minor: number, dispatch: number): readonly WasmFunction[] {
  if (minor >= 2) {
    const body = [
      ...[...op.get(5), ...op.setGlobal(globals.heap)],
      ...[...op.get(3), ...op.get(4), ...ownCall('parse'), ...op.setGlobal(globals.input)],
      ...[...op.get(2), ...op.setGlobal(globals.data), ...op.get(1), ...op.call(dispatch)],
    ]
    return [{ name: 'opa_eval', parameters: 7, results: 1, body }]
  }
  const evaluate = [
    ...[...field(context.input), ...op.setGlobal(globals.input), ...field(context.data), ...op.setGlobal(globals.data)],
    ...[...op.get(0), ...op.constant(context.result), ...op.add],
    ...[...field(context.entrypoint), ...op.call(dispatch), ...op.store, ...op.constant(0)],
  ]
  return [
    { name: 'eval', parameters: 1, results: 1, body: evaluate },
    gives('opa_eval_ctx_new', [...op.constant(context.size), ...ownCall('malloc')]),
    setter('opa_eval_ctx_set_input', context.input),
    setter('opa_eval_ctx_set_data', context.data),
    setter('opa_eval_ctx_set_entrypoint', context.entrypoint),
    { name: 'opa_eval_ctx_get_result', parameters: 1, results: 1, body: field(context.result) },
  ]
}

function declaredBuiltIns({ builtIns = [], entrypoints }: PolicyForm): readonly string[] {
  const used = Object.values(entrypoints).flatMap((entrypoint) =>
    'code' in entrypoint
      ? []
      : entrypoint.flatMap((piece) => (typeof piece === 'object' && 'builtIn' in piece ? [piece.builtIn] : [])),
  )
  return [...new Set([...builtIns, ...used])]
}

const numbered = (names: readonly string[]) => JSON.stringify(Object.fromEntries(names.map((name, at) => [name, at])))

/**
 * Writes a module of OPA's ABI by hand, for the real library to run. It is no compiled Rego: its entrypoints give texts that
 * are made of fixed pieces, parts of the input and what built-ins give, or run the instructions that a test brings.
 */
export function assembleOpaPolicy(policy: PolicyForm): Uint8Array {
  const { entrypoints, abi = [1, 3], change = (form) => form, start, entrypointText } = policy
  const texts = new Texts()
  const names = Object.keys(entrypoints)
  const builtIns = declaredBuiltIns(policy)
  const evaluated = Object.values(entrypoints).map((one) =>
    entrypointFunction(one, texts, (name) => builtIns.indexOf(name)),
  )
  const first = hostFunctions.length + Object.keys(own).length
  const dispatch: WasmFunction = {
    parameters: 1,
    results: 1,
    body: [
      ...names.flatMap((_, at) => [
        ...[...op.get(0), ...op.constant(at), ...op.equal],
        ...op.when([...op.call(first + at), ...op.return]),
      ]),
      ...op.unreachable,
    ],
  }
  const functions: WasmFunction[] = [
    ...[malloc, parse, find, append, lengthTo],
    ...evaluated,
    dispatch,
    { name: 'opa_json_dump', parameters: 1, results: 1, body: op.get(0) },
    gives('opa_heap_ptr_get', op.getGlobal(globals.heap)),
    { name: 'opa_heap_ptr_set', parameters: 1, results: 0, body: [...op.get(0), ...op.setGlobal(globals.heap)] },
    gives('builtins', op.constant(texts.address(numbered(builtIns)))),
    gives('entrypoints', op.constant(texts.address(entrypointText ?? numbered(names)))),
    ...evaluating(abi[1], first + evaluated.length),
    ...(start === undefined ? [] : [{ parameters: 0, results: 0 as const, body: start }]),
  ]
  return assembleModule(
    change({
      functionImports: hostFunctions.map((name, at) => ({
        module: 'env',
        name,
        parameters: at < 2 ? 1 : at,
        results: at < 2 ? 0 : 1,
      })),
      memoryImports: [{ minimum: texts.end / 65_536 }],
      functions,
      globals: [
        { value: texts.end, isMutable: true },
        { value: 0, isMutable: true },
        { value: 0, isMutable: true },
        { value: abi[0], name: 'opa_wasm_abi_version' },
        { value: abi[1], name: 'opa_wasm_abi_minor_version' },
      ],
      data: [{ at: texts.start, bytes: texts.bytes }],
      ...(start === undefined ? {} : { start: hostFunctions.length + functions.length - 1 }),
    }),
  )
}
