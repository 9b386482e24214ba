import type { PolicyLimits } from '../policy-limits.ts'
import { atSection, RulesReader } from './rules.ts'
import type { Policy, PolicyVersion, Rule, SectionName } from './syntax.ts'
import { Abandoned, type Complaint, type TokenReader } from './token-reader.ts'
import { policyVersions, quoted, sectionNames } from './words.ts'

/** Reads a whole policy (section 2). What is wrong stands in the reader's findings; the policy is good only without. */
export function readPolicy(reader: TokenReader, limits: PolicyLimits): Policy {
  const version = readVersion(reader)
  return new SectionsReader(reader, limits, version).read()
}

/** POL-202. Without a readable version the rest is read as the newest, so that its errors are found. */
function readVersion(reader: TokenReader): PolicyVersion {
  try {
    return reader.within('versionInfo', () => readVersionLine(reader))
  } catch (error) {
    if (!(error instanceof Abandoned) || error.scope === 'policy') throw error
    while (!reader.at(';') && reader.token.kind !== 'end' && !atSection(reader)) reader.pass()
    reader.takes(';')
    return '1.2'
  }
}

/** Whatever stands there, a number too: it is the version that is wrong, not an Integer (POL-108). */
function failVersion(reader: TokenReader, complaint: Complaint): never {
  reader.note('POL-202', reader.token, complaint)
  throw new Abandoned('rule')
}

function readVersionLine(reader: TokenReader): PolicyVersion {
  if (reader.wordOf(['version']) === undefined) {
    return failVersion(reader, { expected: ["'version'"], hint: 'a policy starts with version=1.2;' })
  }
  reader.advance()
  const hint = reader.at('==') ? 'write a single =' : undefined
  if (!reader.takes('=')) return failVersion(reader, { expected: ["'='"], hint })
  const { token } = reader
  const version = policyVersions.find((known) => token.kind === 'number' && known === token.text)
  if (version === undefined) {
    const hint = 'write version=1.0; version=1.1; or version=1.2; without quotes'
    return failVersion(reader, { expected: quoted(policyVersions), hint })
  }
  reader.pass()
  if (!reader.takes(';')) reader.note('POL-202', reader.token, { expected: ["';'"] })
  return version
}

/** The three sections in their order (POL-201, POL-203, POL-211, POL-213). */
class SectionsReader {
  readonly #reader: TokenReader
  readonly #rules: RulesReader
  readonly #version: PolicyVersion
  readonly #read = new Map<SectionName, readonly Rule[]>()
  /** Place in the order of the section that was read last. */
  #last = -1

  constructor(reader: TokenReader, limits: PolicyLimits, version: PolicyVersion) {
    this.#reader = reader
    this.#rules = new RulesReader(reader, limits)
    this.#version = version
  }

  read(): Policy {
    const reader = this.#reader
    while (reader.token.kind !== 'end') this.#readNext()
    if (!this.#read.has('authorizationrules')) this.#complainOfMissing()
    return {
      version: this.#version,
      configuration: this.#read.get('configurationrules') ?? [],
      authorization: this.#read.get('authorizationrules') ?? [],
      issuance: this.#read.get('issuancerules') ?? [],
    }
  }

  #readNext(): void {
    const reader = this.#reader
    reader.begin()
    const { token } = reader
    const section = reader.wordOf(sectionNames)
    if (section === undefined) {
      this.#skipForeign()
      return
    }
    this.#checkOrder(section)
    if (section === 'configurationrules' && this.#version === '1.0') {
      const message = 'configurationrules need version 1.1; this policy says 1.0'
      reader.note('POL-307', token, { message, hint: 'write version=1.1; or version=1.2;' })
    }
    reader.advance()
    reader.within(section, () => this.#readBody(section))
  }

  #readBody(section: SectionName): void {
    const reader = this.#reader
    if (!reader.takes('{')) reader.complain('POL-203', { expected: quoted(['{']) })
    const rules = this.#rules.read(this.#version, section)
    if (!this.#read.has(section)) this.#read.set(section, rules)
    if (!reader.takes('}')) {
      reader.complain('POL-203', { expected: quoted(['}']) })
    } else if (!reader.takes(';')) {
      reader.complain('POL-203', { expected: quoted([';']) })
    }
  }

  #checkOrder(section: SectionName): void {
    const place = sectionNames.indexOf(section)
    const reader = this.#reader
    if (place <= this.#last) {
      const message = this.#read.has(section) ? `${section} are given twice` : `${section} stand too late`
      reader.complain('POL-213', { message, hint: `the order is: ${sectionNames.join(', ')}` })
    } else if (section === 'issuancerules' && !this.#read.has('authorizationrules')) {
      this.#complainOfMissing()
      this.#read.set('authorizationrules', [])
    }
    this.#last = Math.max(this.#last, place)
  }

  #complainOfMissing(): void {
    const withConfiguration = this.#last < 0 && this.#version !== '1.0'
    const expected = quoted(withConfiguration ? ['configurationrules', 'authorizationrules'] : ['authorizationrules'])
    this.#reader.complain('POL-201', { expected, hint: this.#reader.near(sectionNames) })
  }

  /** Something that begins no section: everything up to the next one that does. */
  #skipForeign(): void {
    const reader = this.#reader
    if (!this.#read.has('authorizationrules')) {
      this.#complainOfMissing()
      this.#read.set('authorizationrules', [])
    } else {
      const expected = this.#last < 2 ? ["'issuancerules'", '<EOF>'] : ['<EOF>']
      reader.complain('POL-211', { expected, hint: reader.near(sectionNames) })
    }
    while (reader.token.kind !== 'end' && !atSection(reader)) reader.advance()
  }
}
