import { createRequire } from 'node:module'
import { nativeErrors } from './errors.ts'

/**
 * Calls into C libraries. The only file that names the foreign function interface, so that another one can
 * replace it (NAT 1.3). Only scalars, texts and buffers cross: no structures, arrays or callbacks, because
 * object conversion pads, cuts and wraps silently: a short nonce would be filled up with zeros (NAT-02).
 */
interface Foreign {
  load(soname: string | null): { func(name: string, result: string, parameters: readonly string[]): Raw }
  proto(result: string, parameters: readonly string[]): unknown
  decode(address: bigint, type: unknown): Raw
  errno(): number
}

type Passed = number | bigint | string | Uint8Array | null
interface Raw {
  (...values: readonly Passed[]): unknown
  async(...values: readonly unknown[]): void
}

/** What each C type is in JavaScript. `size` and `ssize` are safe integers; an `address` is one that C gave us. */
interface Values {
  i32: number
  u32: number
  u64: bigint
  size: number
  ssize: number
  address: bigint
  buffer: Uint8Array | null
  text: string
}

export type CType = keyof Values
/** A function never returns a buffer: memory that C owns is an `address` (NAT-05). */
export type CResult = Exclude<CType, 'buffer'> | 'void'
export type CArguments<P extends readonly CType[]> = { [K in keyof P]: Values[P[K]] }
type CValue<R extends CResult> = R extends 'void' ? undefined : R extends CType ? Values[R] : never

export interface NativeFunction<P extends readonly CType[] = readonly CType[], R extends CResult = CResult> {
  /** Calls at once, on this thread: only for functions that cannot block (NAT-10). */
  (...values: CArguments<P>): CValue<R>
  /** errno of the synchronous call that was the last one before; meaningless at any other time (NAT-09). */
  errno(): number
  /** Calls on a thread of the pool. It cannot be cancelled (NAT-12); at most two may run for long (NAT-11). */
  later(...values: CArguments<P>): Promise<{ readonly value: CValue<R>; readonly errno: number }>
}

export interface NativeLibrary {
  /** Throws `NATIVE_SYMBOL_MISSING` where the library has no function of that name. */
  bind<const P extends readonly CType[], R extends CResult>(
    name: string,
    result: R,
    parameters: P,
  ): NativeFunction<P, R>
}

const declared: Readonly<Record<CType | 'void', string>> = {
  void: 'void',
  i32: 'int32_t',
  u32: 'uint32_t',
  u64: 'uint64_t',
  size: 'size_t',
  ssize: 'intptr_t',
  address: 'uintptr_t',
  buffer: 'void *',
  text: 'const char *',
}

const within = (low: number, high: number) => (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high
const word = (value: unknown) => typeof value === 'bigint' && value >= 0n && value < 1n << 64n

const fits: Readonly<Record<CType, (value: unknown) => boolean>> = {
  i32: within(-(2 ** 31), 2 ** 31 - 1),
  u32: within(0, 2 ** 32 - 1),
  u64: word,
  size: within(0, Number.MAX_SAFE_INTEGER),
  ssize: within(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  address: word,
  buffer: (value) => value === null || (value instanceof Uint8Array && value.length > 0),
  text: (value) => typeof value === 'string' && !value.includes('\0'),
}

/** Numbers come back as number or bigint, whichever fits: made one of the two here (NAT-08). */
function normalised(value: unknown, result: CResult): unknown {
  if (result === 'u64' || result === 'address') return BigInt(value as number | bigint)
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError(`a C function returned ${value}, which no number holds`)
  return number
}

/** NAT-04: surplus arguments would be ignored and scalars converted silently, so all are checked before the call. */
function checked(name: string, parameters: readonly CType[], values: readonly unknown[]): readonly Passed[] {
  if (values.length !== parameters.length) {
    throw new TypeError(`${name}: takes ${parameters.length} arguments, got ${values.length}`)
  }
  parameters.forEach((type, at) => {
    if (!fits[type](values[at])) throw new TypeError(`${name}: argument ${at} is not ${type}`)
  })
  return values as readonly Passed[]
}

function wrap(foreign: Foreign, raw: Raw, name: string, result: CResult, parameters: readonly CType[]): unknown {
  const call = (...values: readonly unknown[]) => normalised(raw(...checked(name, parameters, values)), result)
  const later = async (...values: readonly unknown[]) =>
    new Promise((resolve, reject) => {
      raw.async(...checked(name, parameters, values), (error: Error | null, value: unknown) => {
        // NAT-03: C holds the bare addresses of the buffers; `values` stays reachable from here until it returned.
        void values.length
        if (error) reject(error)
        else resolve({ value: normalised(value, result), errno: foreign.errno() })
      })
    })
  return Object.assign(call, { later, errno: () => foreign.errno() })
}

function requireForeign(): Foreign {
  try {
    return createRequire(import.meta.url)('koffi') as Foreign
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'none'
    throw nativeErrors.error('NATIVE_UNAVAILABLE', `koffi cannot be loaded (${code})`, {
      cause,
      facts: { errno: code },
    })
  }
}

/**
 * Opens a C library by its versioned soname (NAT-13); `null` is the running process, where libc is. Throws
 * `NATIVE_UNAVAILABLE` without the foreign function interface and `NATIVE_LIBRARY_MISSING` without the library.
 */
export function openLibrary(soname: string | null): NativeLibrary {
  const foreign = requireForeign()
  const library = soname ?? 'the running process'
  const handle = attempt('NATIVE_LIBRARY_MISSING', `${library} cannot be loaded`, { library }, () =>
    foreign.load(soname),
  )
  return {
    bind: <const P extends readonly CType[], R extends CResult>(name: string, result: R, parameters: P) => {
      const types = parameters.map((type) => declared[type])
      const facts = { library, symbol: name }
      const raw = attempt('NATIVE_SYMBOL_MISSING', `${library} has no function ${name}`, facts, () =>
        handle.func(name, declared[result], types),
      )
      return wrap(foreign, raw, name, result, parameters) as NativeFunction<P, R>
    },
  }
}

function attempt<T>(
  code: 'NATIVE_LIBRARY_MISSING' | 'NATIVE_SYMBOL_MISSING',
  detail: string,
  facts: Readonly<Record<string, string>>,
  run: () => T,
): T {
  try {
    return run()
  } catch (cause) {
    throw nativeErrors.error(code, detail, { cause, facts })
  }
}

/** Makes a C function pointer callable; `name` is for messages. Throws `TypeError` for a null pointer (NAT-05). */
export function functionAt<const P extends readonly CType[], R extends CResult>(
  address: bigint,
  name: string,
  result: R,
  parameters: P,
): NativeFunction<P, R> {
  if (!word(address) || address === 0n) throw new TypeError(`${name}: is not at an address`)
  const foreign = requireForeign()
  const type = foreign.proto(
    declared[result],
    parameters.map((parameter) => declared[parameter]),
  )
  return wrap(foreign, foreign.decode(address, type), name, result, parameters) as NativeFunction<P, R>
}
