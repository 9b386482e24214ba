import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assembleOpaPolicy, type PolicyForm } from '../../../test/support/opa-policies.ts'
import type { MemoryForm, ModuleForm } from '../../../test/support/wasm-assembler.ts'
import { AttestdError } from '../../base/errors.ts'
import { parseBarePolicy } from './bundle.ts'
import { requireOpaModule } from './opa-module.ts'
import { readWasmInterface } from './wasm-module.ts'

const assembled = (form: Partial<PolicyForm> = {}) =>
  assembleOpaPolicy({ entrypoints: { 'policy/trust_claims': ['[]'] }, ...form })

const changed = (change: (form: ModuleForm) => Partial<ModuleForm>) =>
  assembled({ change: (form) => ({ ...form, ...change(form) }) })

const withMemory = (...memoryImports: MemoryForm[]) => changed(() => ({ memoryImports }))

function complaint(bytes: Uint8Array): string {
  try {
    requireOpaModule(bytes)
    return 'taken'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return `${error.code}: ${error.message}`
  }
}

/** What the engine says of a module; types of Node 20 do not speak of it. */
interface Engine {
  readonly validate: (bytes: Uint8Array) => boolean
  readonly Module: (new (
    bytes: Uint8Array,
  ) => object) & {
    imports(module: object): { module: string; name: string; kind: string }[]
    exports(module: object): { name: string; kind: string }[]
  }
}
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly

describe('a compiled policy, judged before it runs (POL-960)', () => {
  it.each([0, 1, 2, 3, 7])('is taken by ABI 1.%i', (minor) => {
    expect(requireOpaModule(assembled({ abi: [1, minor] })).minorVersion).toBe(minor)
  })

  it.each<[number, number, RegExp]>([
    [0, 0, /of ABI 0\.0/],
    [2, 0, /of ABI 2\.0/],
    [-1, 3, /of ABI -1\.3/],
    [1, -1, /of ABI 1\.-1/],
  ])('is refused by ABI %i.%i', (major, minor, says) => {
    expect(complaint(assembled({ abi: [major, minor] }))).toMatch(says)
  })

  it.each<[string, (form: ModuleForm) => Partial<ModuleForm>]>([
    ['no version', ({ globals }) => ({ globals: globals.slice(0, 3) })],
    ['no minor version', ({ globals }) => ({ globals: globals.slice(0, 4) })],
    ['a version that can change', ({ globals }) => ({ globals: globals.map((one) => ({ ...one, isMutable: true })) })],
    [
      'a function in place of the version',
      ({ globals, functions: [first, ...others] }) => ({
        globals: globals.slice(0, 3),
        functions: first ? [{ ...first, name: 'opa_wasm_abi_version' }, ...others] : [],
      }),
    ],
  ])('is refused with %s', (_, change) => {
    expect(complaint(changed(change))).toBe(
      'REGO_BUNDLE_UNREADABLE: policy.wasm does not say for which ABI it was compiled',
    )
  })

  it.each(['builtins', 'entrypoints', 'opa_malloc', 'opa_json_parse', 'opa_json_dump', 'opa_heap_ptr_get', 'opa_eval'])(
    'is refused without its export %s',
    (lacking) => {
      const without = changed(({ functions }) => ({
        functions: functions.map(({ name, ...one }) =>
          name === undefined || name === lacking ? one : { ...one, name },
        ),
      }))
      expect(complaint(without)).toBe(`REGO_BUNDLE_UNREADABLE: policy.wasm does not export ${lacking}`)
    },
  )

  it('needs the context of ABI 1.1, and not that of 1.2', () => {
    const without = (minor: number) =>
      assembled({
        abi: [1, minor],
        change: (form) => ({
          ...form,
          functions: form.functions.map(({ name, ...one }) =>
            name === undefined || name === 'opa_eval_ctx_new' ? one : { ...one, name },
          ),
        }),
      })
    expect(complaint(without(1))).toMatch(/does not export opa_eval_ctx_new$/)
    expect(complaint(without(2))).toBe('taken')
  })

  it.each([
    ['env', 'opa_fetch'],
    ['wasi_snapshot_preview1', 'fd_write'],
    ['env', 'memory'],
    ['env', 'opa_builtin5'],
  ])('is refused with the import %s.%s', (module, name) => {
    const more = { module, name, parameters: 1, results: 0 } as const
    const bytes = changed(({ functionImports }) => ({ functionImports: [...functionImports, more] }))
    expect(complaint(bytes)).toBe(`REGO_BUNDLE_UNREADABLE: policy.wasm imports the function "${module}.${name}"`)
  })
})

describe('the memory of a policy (POL-961)', () => {
  it.each<[MemoryForm, { initial: number; maximum: number }]>([
    [{ minimum: 0 }, { initial: 5, maximum: 2048 }],
    [{ minimum: 2 }, { initial: 5, maximum: 2048 }],
    [{ minimum: 6 }, { initial: 6, maximum: 2048 }],
    [{ minimum: 2048 }, { initial: 2048, maximum: 2048 }],
    [
      { minimum: 2, maximum: 3 },
      { initial: 3, maximum: 3 },
    ],
    [
      { minimum: 2, maximum: 65_536 },
      { initial: 5, maximum: 2048 },
    ],
  ])('of %j is %j', (asked, given) => {
    expect(requireOpaModule(withMemory(asked)).memory).toEqual(given)
  })

  it('is refused above 2048 pages', () => {
    expect(complaint(withMemory({ minimum: 2049 }))).toMatch(/needs 2049 pages of memory; 2048 are given/)
  })

  it('is one, and imported', () => {
    const says = /^REGO_BUNDLE_UNREADABLE: .*does not import its one memory$/
    expect(complaint(withMemory())).toMatch(says)
    expect(complaint(withMemory({ minimum: 1 }, { minimum: 1 }))).toMatch(says)
    expect(complaint(changed(() => ({ memoryImports: [], ownMemories: [{ minimum: 1 }] })))).toMatch(says)
    expect(complaint(changed(() => ({ ownMemories: [{ minimum: 1 }] })))).toMatch(says)
  })

  it('has beside it one table of functions, and no objects of a collected heap', () => {
    expect(complaint(changed(() => ({ tables: [{ minimum: 74, maximum: 74 }] })))).toBe('taken')
    expect(complaint(changed(() => ({ tables: [{ minimum: 1 }, { minimum: 1 }] })))).toMatch(/has 2 tables$/)
    expect(complaint(changed(() => ({ tables: [{ minimum: 65_536 }] })))).toBe('taken')
    const says = /has a table of 65537 entries; 65536 are given/
    expect(complaint(changed(() => ({ tables: [{ minimum: 65_537 }] })))).toMatch(says)
    const policy = assembled()
    const firstType = policy.indexOf(0x60)
    for (const form of [0x5f, 0x5e, 0x50, 0x4f, 0x4e]) {
      expect(complaint(policy.with(firstType, form))).toMatch(new RegExp(`^MALFORMED.*has a type of form ${form} `))
    }
    expect(complaint(policy.with(firstType + 2, 0x6e))).toMatch(/has a value of type 110/)
  })

  it('is not shared, and not of 64 bits', () => {
    const bytes = withMemory({ minimum: 1, maximum: 77 })
    const flags = bytes.findIndex((byte, at) => byte === 1 && bytes[at + 1] === 1 && bytes[at + 2] === 77)
    for (const odd of [3, 5, 7]) {
      expect(complaint(bytes.with(flags, odd))).toMatch(
        /^MALFORMED: policy\.wasm: has a memory that is shared or of 64 bits/,
      )
    }
    expect(complaint(bytes.with(flags, 8))).toMatch(/has limits of form 8/)
  })
})

describe('what an engine keeps more of than the module has', () => {
  /** A section between the others, where the engine expects it; these policies have none of its kind. */
  const withSection = (id: number, content: readonly number[], before: number) => {
    const policy = assembled()
    const at = sectionStart(policy, before)
    const size = [0, 7, 14, 21].map((shift) => ((content.length >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0))
    const section = Buffer.concat([Buffer.from([id, ...size]), Buffer.from(content)])
    return new Uint8Array(Buffer.concat([policy.subarray(0, at), section, policy.subarray(at)]))
  }
  const sectionStart = (policy: Uint8Array, wanted: number) => {
    for (let at = 8; at < policy.length; ) {
      if (policy[at] === wanted) return at
      let [size, shift, next] = [0, 0, at + 1]
      for (let byte = 0x80; byte >= 0x80; shift += 7) {
        byte = policy[next++] ?? 0
        size += (byte & 0x7f) * 2 ** shift
      }
      at = next + size
    }
    return expect.unreachable()
  }

  it('is bounded: entries for tables, functions, their code and data (POL-961)', () => {
    const [code, elements] = [10, 9]
    const filled = (length: number) => Array<number>(length).fill(0)
    expect(complaint(withSection(elements, [0, ...filled(9)], code))).toMatch(/section that does not end|taken/)
    expect(complaint(withSection(elements, filled((256 << 10) + 1), code))).toMatch(
      /262145 bytes of entries for tables/,
    )
    for (const counted of [3, 10, 11]) {
      const many = [0xa1, 0x8d, 6, ...filled(100_001)]
      expect(complaint(withSection(counted, many, code))).toMatch(/has a section of 100001 entries/)
    }
  })
})

describe('the table of a policy, as it is compiled (POL-961)', () => {
  const maximumOf = (table: MemoryForm) => {
    const bytes = changed(() => ({ tables: [table] }))
    const { wasm } = parseBarePolicy(bytes)
    expect(engine.validate(wasm)).toBe(true)
    const [bounded] = readWasmInterface(wasm, 'policy.wasm').ownTables
    return [bounded?.minimum, bounded?.maximum]
  }

  it.each<[MemoryForm, number]>([
    [{ minimum: 0 }, 65_536],
    [{ minimum: 200 }, 65_536],
    [{ minimum: 65_536 }, 65_536],
    [{ minimum: 74, maximum: 74 }, 74],
    [{ minimum: 74, maximum: 10_000_000 }, 65_536],
  ])('of %j never grows above %j entries', (table, most) => {
    expect(maximumOf(table)).toEqual([table.minimum, most])
  })

  it('is all that is changed of the module', () => {
    const [before, after] = [changed(() => ({ tables: [{ minimum: 3, maximum: 3 }] })), assembled()]
    expect(parseBarePolicy(before).wasm).toEqual(before)
    expect(parseBarePolicy(after).wasm).toBe(after)
  })

  it('is not shared, and not of 64 bits', () => {
    const bytes = changed(() => ({ tables: [{ minimum: 77, maximum: 78 }] }))
    const flags = bytes.findIndex((byte, at) => byte === 1 && bytes[at + 1] === 77 && bytes[at + 2] === 78)
    for (const odd of [3, 5, 7]) expect(complaint(bytes.with(flags, odd))).toMatch(/table that is shared or of 64 bits/)
  })
})

describe('any bytes in place of a policy', () => {
  const policy = assembled()

  it('are taken or refused with a code, whatever byte is changed', () => {
    fc.assert(
      fc.property(fc.nat(policy.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        expect(complaint(policy.with(at, byte))).toMatch(/^(?:taken|MALFORMED|REGO_BUNDLE_UNREADABLE)/)
      }),
      { numRuns: 2000 },
    )
  })

  it('are refused where they end inside of a section; whole sections that are missing are for the engine', () => {
    const starts = Array.from({ length: policy.length }, (_, length) => policy.subarray(0, length))
    const taken = starts.filter((start) => complaint(start) === 'taken')
    expect(taken.length).toBeLessThanOrEqual(2)
    for (const start of starts) expect(complaint(start)).toMatch(/^(?:MALFORMED|REGO_BUNDLE_UNREADABLE|taken$)/)
  })

  it('have the imports and exports that the engine sees, wherever the engine takes them', () => {
    let judged = 0
    fc.assert(
      fc.property(fc.nat(policy.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = policy.with(at, byte)
        if (!engine.validate(bytes)) return
        const module = new engine.Module(bytes)
        let found: ReturnType<typeof readWasmInterface>
        try {
          found = readWasmInterface(bytes, 'policy.wasm')
        } catch (error) {
          // Stricter than the engine in what compiled policies do not have.
          expect(error).toBeInstanceOf(AttestdError)
          return
        }
        judged++
        const sorted = (list: readonly object[]) => list.map((one) => JSON.stringify(one)).sort()
        const ours = [...found.exports].map(([name, { kind }]) => ({ name, kind }))
        const theirs = engine.Module.exports(module).map(({ name, kind }) => ({ name, kind }))
        if (theirs.every(({ name }) => /^[\x20-\x7e]*$/.test(name))) expect(sorted(ours)).toEqual(sorted(theirs))
        expect(found.imports).toHaveLength(engine.Module.imports(module).length)
      }),
      { numRuns: 3000 },
    )
    expect(judged).toBeGreaterThan(100)
  })

  it('are refused without much work, however long a section says that it is', () => {
    const endless = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 7, 5, 0xff, 0xff, 0xff, 0xff, 0x0f])
    expect(complaint(endless)).toMatch(/^MALFORMED.*section of 4294967295 entries/)
    expect(complaint(endless.with(14, 0x1f))).toMatch(/beyond 32 bits/)
  })
})
