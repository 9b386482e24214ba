import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { compileLibrary, haveCompiler } from '../test/support/c-compiler.ts'
import { type CType, functionAt, openLibrary } from './ffi.ts'

const process_ = openLibrary(null)

describe('arguments are checked before the call (NAT-210)', () => {
  const wrong: Readonly<Record<CType, readonly unknown[]>> = {
    i32: [2 ** 31, -(2 ** 31) - 1, 1.5, Number.NaN, 1n, '1', null, undefined, Buffer.alloc(4), 2 ** 33 + 5],
    u32: [-1, 2 ** 32, 0.5, Number.NaN, 1n, '1', null, undefined, Buffer.alloc(4)],
    u64: [-1n, 1n << 64n, 1, '1', null, undefined, Buffer.alloc(8)],
    size: [-1, 2 ** 53, 0.5, Number.NaN, 1n, '1', null, undefined],
    ssize: [2 ** 53, -(2 ** 53), 0.5, Number.POSITIVE_INFINITY, 1n, null, undefined],
    address: [-1n, 1n << 64n, 4096, null, undefined, Buffer.alloc(8), '0'],
    buffer: [
      Buffer.alloc(0),
      0,
      4096,
      4096n,
      'text',
      undefined,
      new ArrayBuffer(8),
      [1, 2],
      new DataView(new ArrayBuffer(8)),
    ],
    text: ['a\0b', Buffer.from('a'), 1, null, undefined],
  }
  const cases = (Object.keys(wrong) as CType[]).flatMap((type) => wrong[type].map((value) => [type, value] as const))

  it.each(cases)('%s refuses %o', async (type, value) => {
    // `abs` would take whatever reaches it: the refusal must come first, synchronous and asynchronous. The cast asks for
    // what the types forbid: values that came past them, from JSON or from another cast.
    const call = process_.bind('abs', 'i32', [type]) as unknown as {
      (value: unknown): number
      later(value: unknown): Promise<unknown>
    }
    expect(() => call(value)).toThrow(TypeError)
    expect(() => call(value)).toThrow(`abs: argument 0 is not ${type}`)
    await expect(call.later(value)).rejects.toThrow(TypeError)
  })

  it.each([[[]], [[1, 2]]])('a wrong number of arguments is refused: %o', (values) => {
    // The cast allows a call that the types forbid.
    const abs = process_.bind('abs', 'i32', ['i32']) as unknown as (...values: number[]) => number
    expect(() => abs(...values)).toThrow(`abs: takes 1 arguments, got ${values.length}`)
  })

  it('accepts the ends of every range', () => {
    const abs = process_.bind('abs', 'i32', ['i32'])
    expect([abs(2 ** 31 - 1), abs(-(2 ** 31) + 1), abs(0)]).toEqual([2 ** 31 - 1, 2 ** 31 - 1, 0])
    const ntohl = process_.bind('ntohl', 'u32', ['u32'])
    expect([ntohl(0xffffffff), ntohl(1)]).toEqual([0xffffffff, 0x01000000])
  })
})

describe('results', () => {
  it('are bigint for addresses and number for sizes, whatever their magnitude (NAT-08)', () => {
    const memcpy = process_.bind('memcpy', 'address', ['buffer', 'buffer', 'size'])
    const strlen = process_.bind('strlen', 'size', ['text'])
    const free = process_.bind('free', 'void', ['address'])
    expect(typeof memcpy(Buffer.alloc(4), Buffer.alloc(4), 4)).toBe('bigint')
    expect(strlen('four')).toBe(4)
    expect(free(0n)).toBeUndefined()
    expect(process_.bind('labs', 'u64', ['u64'])(5n)).toBe(5n)
  })

  it('read and write the part of the memory that a view shows, not the whole', () => {
    const memcpy = process_.bind('memcpy', 'address', ['buffer', 'buffer', 'size'])
    const room = new Uint8Array(12)
    memcpy(room.subarray(4, 8), Uint8Array.of(9, 1, 2, 3, 4).subarray(1), 4)
    expect([...room]).toEqual([0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0])
  })

  it('come with the errno of their own call, synchronous and asynchronous (NAT-09)', async () => {
    const close = process_.bind('close', 'i32', ['i32'])
    const chdir = process_.bind('chdir', 'i32', ['text'])
    const late = close.later(-1)
    expect([chdir('/nowhere/at/all'), chdir.errno()]).toEqual([-1, 2])
    expect(await late).toEqual({ value: -1, errno: 9 })
    expect(await Promise.all([chdir.later('/nowhere'), close.later(-1), chdir.later('/dev/null')])).toEqual([
      { value: -1, errno: 2 },
      { value: -1, errno: 9 },
      { value: -1, errno: 20 },
    ])
  })
})

describe('what is missing is a typed error', () => {
  it('names the library', () => {
    expect(() => openLibrary('libno-such-thing.so.7')).toThrow(
      expect.objectContaining({
        code: 'NATIVE_LIBRARY_MISSING',
        facts: { library: 'libno-such-thing.so.7' },
        exitCode: 75,
      }),
    )
  })

  it('names the library and the function', () => {
    expect(() => process_.bind('no_such_function', 'i32', [])).toThrow(
      expect.objectContaining({
        code: 'NATIVE_SYMBOL_MISSING',
        facts: { library: 'the running process', symbol: 'no_such_function' },
      }),
    )
  })
})

describe('function pointers', () => {
  it('are callable at the address that C gave', async () => {
    const dlsym = process_.bind('dlsym', 'address', ['address', 'text'])
    const abs = functionAt(dlsym(0n, 'abs'), 'abs', 'i32', ['i32'])
    expect([abs(-3), (await abs.later(-4)).value]).toEqual([3, 4])
    expect(() => abs(...([1.5] as const))).toThrow('abs: argument 0 is not i32')
  })

  it('are refused when they are null', () => {
    expect(() => functionAt(0n, 'transmit', 'u32', [])).toThrow(TypeError)
  })
})

describe('the declarations in native/ (NAT-02, NAT-03)', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const text = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8')

  it('name koffi in ffi.ts only, and use of it nothing but load, func, proto, decode, async and errno', () => {
    expect(files.filter((name) => /koffi/.test(text(name)) && !['ffi.ts', 'errors.ts'].includes(name))).toEqual([])
    const members = new Set([...text('ffi.ts').matchAll(/\b(?:foreign|handle|raw)\.(\w+)/g)].map((match) => match[1]))
    expect([...members].sort()).toEqual(['async', 'decode', 'errno', 'func', 'load', 'proto'])
  })

  it('make no buffer by allocUnsafe and call nothing asynchronously but by later (NAT-07)', () => {
    const outside = files.filter((name) => name !== 'ffi.ts')
    expect(outside.filter((name) => /allocUnsafe|\.async\b|struct\(|_Out_|\bregister\(/.test(text(name)))).toEqual([])
  })
})

describe.skipIf(!haveCompiler)('buffers stay where they are while C works (NAT-202)', () => {
  const source = `
    #include <stddef.h>
    #include <stdint.h>
    #include <unistd.h>
    uint64_t slow_sum(const unsigned char *bytes, size_t size, uint32_t ms) {
      uint64_t sum = 0;
      usleep(ms * 1000);
      for (size_t i = 0; i < size; i++) sum += bytes[i];
      return sum;
    }`

  it('a temporary that nobody holds is summed exactly, three times, under forced collections', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const slowSum = openLibrary(compileLibrary(source)).bind('slow_sum', 'u64', ['buffer', 'size', 'u32'])
    const size = 8 << 20
    for (let round = 1; round <= 3; round++) {
      const sum = slowSum.later(Buffer.alloc(size, round), size, 300)
      for (let pass = 0; pass < 5; pass++) {
        for (let junk = 0; junk < 4; junk++) Buffer.alloc(size, 0xee)
        collect()
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect((await sum).value).toBe(BigInt(size) * BigInt(round))
    }
  })
})
