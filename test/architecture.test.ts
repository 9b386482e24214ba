import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * The house of docs/architecture.md as a table: a room imports only rooms on lower floors, never a
 * neighbour, never upwards. Adding a room means adding it here.
 */
const floors: readonly (readonly string[])[] = [
  ['base'],
  ['evidence', 'endorsements', 'reference-values', 'policies', 'results'],
  ['attester', 'verifier', 'endorser', 'relying-party', 'client', 'platform'],
  ['passport', 'issuer', 'background-check', 'workload-api', 'registry'],
  ['agent'],
]
const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)))

/** Rooms that compute and never reach out: of Node's modules they may use `node:crypto` only. */
const pureRooms = new Set(['base', 'evidence', 'endorsements', 'reference-values', 'policies', 'results', 'verifier'])

const root = resolve(import.meta.dirname, '..')

interface Import {
  readonly from: string
  readonly target: string
  readonly typeOnly: boolean
  /** Loaded when it is asked for, and not with the file. */
  readonly isDeferred: boolean
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g

function importsIn(from: string, text: string): Import[] {
  return [...text.matchAll(importPattern)].map((match) => ({
    from,
    target: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
    isDeferred: match[3] !== undefined,
  }))
}

function roomOf(path: string): string {
  return path.startsWith('src/') ? (path.split('/')[1] ?? '') : (path.split('/')[0] ?? '')
}

function targetPath({ from, target }: Import): string {
  return relative(root, resolve(root, dirname(from), target))
}

function complaintAboutRooms(found: Import, here: string, there: string): string | undefined {
  if (there === 'native') {
    return here === 'platform' ? undefined : `${found.from}: only src/platform/ and tests import native/`
  }
  if (there === 'mocks') return `${found.from}: src/ never imports mocks/ (${found.target})`
  const [from, to] = [floorOf.get(here), floorOf.get(there)]
  if (from === undefined) return `${found.from}: the room '${here}' is not in the table of floors`
  if (to === undefined) return `${found.from}: imports '${found.target}', which is in no room`
  if (there === 'platform' && here !== 'agent' && here !== 'platform')
    return `${found.from}: only agent/ imports platform/`
  if (to < from || here === there) return undefined
  const relation = to === from ? 'its neighbour' : 'upwards into'
  return `${found.from}: '${here}' (floor ${from}) imports ${relation} '${there}' (floor ${to})`
}

/** One sentence for a forbidden import in `src/`, or undefined. */
function complaintAbout(found: Import): string | undefined {
  const here = roomOf(found.from)
  if (found.target.startsWith('.')) {
    const path = targetPath(found)
    const there = roomOf(path)
    if (!path.startsWith('src/') && !['native', 'mocks'].includes(there)) {
      return `${found.from}: imports '${found.target}', which is outside of src/`
    }
    return complaintAboutRooms(found, here, there)
  }
  if (found.target.startsWith('node:') && pureRooms.has(here) && found.target !== 'node:crypto') {
    return `${found.from}: '${here}' is pure and may use node:crypto only, not ${found.target}`
  }
  if (!found.target.startsWith('node:') && /^(?:fs|net|http|https|os|path|crypto|child_process)$/.test(found.target)) {
    return `${found.from}: write node:${found.target}`
  }
  return undefined
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
}

const sources = [...sourceFiles('src'), ...sourceFiles('native'), ...sourceFiles('mocks')]
const textOf = (path: string) => readFileSync(join(root, path), 'utf8')

describe('the house', () => {
  it('has no forbidden import', () => {
    const inSrc = sources.filter((path) => path.startsWith('src/'))
    expect(inSrc.flatMap((path) => importsIn(path, textOf(path)).map(complaintAbout)).filter(Boolean)).toEqual([])
  })

  it('names koffi in one file and never in src/', () => {
    const naming = sources.filter((path) => importsIn(path, textOf(path)).some(({ target }) => target === 'koffi'))
    expect(naming.filter((path) => path !== 'native/ffi.ts')).toEqual([])
  })

  it('keeps files under 300 lines', () => {
    expect(sources.filter((path) => textOf(path).split('\n').length > 300)).toEqual([])
  })

  // The service manager is somebody else's program, not a name for what belongs nowhere.
  it('has no default exports, no utils and no enum or namespace', () => {
    const bad = sources.filter(
      (path) =>
        /(?:utils|helpers|common|(?<!service-)manager)/.test(path) ||
        /^export default|^export (?:const )?enum\b|^namespace/m.test(textOf(path)),
    )
    expect(bad).toEqual([])
  })
})

/** Every file of ours that is loaded with `path`, and the packages. */
function loadedWith(path: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(path)) return loaded
  loaded.add(path)
  for (const found of importsIn(path, textOf(path))) {
    if (found.typeOnly || found.isDeferred) continue
    if (!found.target.startsWith('.')) loaded.add(found.target)
    else loadedWith(targetPath(found), loaded)
  }
  return loaded
}

describe('the engine for Rego', () => {
  const ofTheEngine = (path: string) => /^@open-policy-agent|^src\/agent\/rego\/|wiring\/policy-bundles/.test(path)
  const everywhere = ['src/agent/main.ts', 'src/agent/agent.ts', 'src/agent/embedded/appraisal-worker.ts']

  it.each([...everywhere, 'src/agent/wiring/policy-settings.ts', 'src/agent/embedded/policy-judge.ts'])(
    'is not loaded with %s: an agent without a bundle does not pay for it',
    (path) => {
      expect([...loadedWith(path)].filter(ofTheEngine)).toEqual([])
    },
  )

  it('is loaded with what opens bundles, and the library with nothing but its thread', () => {
    const loaded = [...loadedWith('src/agent/wiring/policy-bundles.ts')]
    expect(loaded).toContain('src/agent/rego/open-rego-policy.ts')
    expect(loaded.filter((path) => path.startsWith('@open-policy-agent'))).toEqual([])
  })
})

describe('the table of floors catches a planted violation', () => {
  const complaint = (from: string, target: string) =>
    complaintAbout({ from, target, typeOnly: false, isDeferred: false })

  it.each([
    ['src/verifier/x.ts', '../attester/y.ts', 'neighbour'],
    ['src/base/x.ts', '../evidence/y.ts', 'upwards'],
    ['src/issuer/x.ts', '../passport/y.ts', 'neighbour'],
    ['src/verifier/x.ts', 'node:fs', 'pure'],
    ['src/passport/x.ts', '../platform/y.ts', 'only agent'],
    ['src/evidence/x.ts', '../../native/ffi.ts', 'only src/platform'],
    ['src/agent/x.ts', '../../mocks/demo.ts', 'never imports mocks'],
    ['src/cellar/x.ts', '../base/y.ts', 'not in the table'],
    ['src/agent/x.ts', 'fs', 'node:fs'],
  ])('%s importing %s', (from, target, says) => {
    expect(complaint(from, target)).toContain(says)
  })

  it('and allows what the table allows', () => {
    expect(complaint('src/agent/x.ts', '../platform/y.ts')).toBeUndefined()
    expect(complaint('src/evidence/tpm/x.ts', '../../base/layout.ts')).toBeUndefined()
    expect(complaint('src/platform/x.ts', '../../native/libc.ts')).toBeUndefined()
    expect(complaint('src/platform/x.ts', './y.ts')).toBeUndefined()
    expect(
      importsIn('a.ts', "import { a } from './b.ts'\nexport type { c } from '../d.ts'\nawait import('./e.ts')"),
    ).toHaveLength(3)
  })
})
