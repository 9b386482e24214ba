import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type DerCursor, identifiers, openDer } from '../../base/pki/der-cursor.ts'

/** Settings of a platform with more than one processor package (extension `.7`). */
export interface PlatformConfiguration {
  readonly dynamicPlatform: boolean
  readonly cachedKeys: boolean
  readonly smtEnabled: boolean
}

/** Intel's extension 1.2.840.113741.1.13.1 of a PCK certificate (TDX-121). */
export interface SgxExtension {
  /** 16 bytes: identifies the machine; never in claims unless asked for (TDX-253). */
  readonly ppid: Uint8Array
  /** 16 values of 0 to 255: the SGX TCB of the platform. */
  readonly components: readonly number[]
  readonly pceSvn: number
  /** 16 bytes. Not for comparisons: the components are (TDX-121). */
  readonly cpuSvn: Uint8Array
  /** 4 lower-case hexadecimal digits. */
  readonly pceId: string
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** 0 Standard, 1 Scalable, 2 Scalable with Integrity. */
  readonly sgxType: 0 | 1 | 2
  /** 16 bytes; null in certificates of the processor CA. */
  readonly platformInstanceId: Uint8Array | null
  readonly configuration: PlatformConfiguration | null
}

export const sgxExtensionId = '1.2.840.113741.1.13.1'

const componentCount = 16
/** Elements of DER; real values have 54 or 66. */
const maximumElements = 128

/**
 * Parses the content of the extension, exactly (TDX-121): the five entries of every PCK certificate, and both or neither
 * of the two that the platform CA adds; each once, in any order, sizes and ranges exact, nothing else. An entry twice
 * or of another size would be read otherwise by another verifier. Throws only `MalformedError`.
 */
export function parseSgxExtension(der: Uint8Array, path = 'sgxExtension'): SgxExtension {
  const entries = readEntries(openDer(der, path, maximumElements), sgxExtensionId)
  if (entries.count !== 5 && entries.count !== 7)
    throw entries.malformed('', `has ${entries.count} entries, not 5 or 7`)
  const isPlatform = entries.count === 7
  return {
    ppid: entries.octets('1', 16),
    ...readTcb(entries.nested('2')),
    pceId: toHex(entries.octets('3', 2)),
    fmspc: toHex(entries.octets('4', 6)),
    sgxType: readType(entries),
    platformInstanceId: isPlatform ? entries.octets('6', 16) : null,
    configuration: isPlatform ? readConfiguration(entries.nested('7')) : null,
  }
}

function readTcb(entries: Entries): Pick<SgxExtension, 'components' | 'pceSvn' | 'cpuSvn'> {
  entries.requireCount(18)
  return {
    components: Array.from({ length: componentCount }, (_, at) => entries.integer(`${at + 1}`, 255)),
    pceSvn: entries.integer('17', 65_535),
    cpuSvn: entries.octets('18', 16),
  }
}

function readType(entries: Entries): 0 | 1 | 2 {
  const type = entries.integer('5', 2, identifiers.enumerated)
  return type === 0 || type === 1 ? type : 2
}

function readConfiguration(entries: Entries): PlatformConfiguration {
  entries.requireCount(3)
  return {
    dynamicPlatform: entries.boolean('1'),
    cachedKeys: entries.boolean('2'),
    smtEnabled: entries.boolean('3'),
  }
}

/** The sequence that comes next: entries of an identifier below `parent` and a value. */
function readEntries(list: DerCursor, parent: string): Entries {
  const values = new Map<string, DerCursor>()
  const entries = list.enter()
  while (!entries.atEnd) {
    const entry = entries.enter()
    const id = entry.objectIdentifier()
    if (values.has(id)) throw new MalformedError({ path: list.path }, `has ${id} twice`)
    values.set(id, entry)
  }
  return new Entries(values, parent, list.path)
}

/** Values by the last arc of their identifier; each cursor stands before one value. */
class Entries {
  #values: ReadonlyMap<string, DerCursor>
  #parent: string
  #path: string

  constructor(values: ReadonlyMap<string, DerCursor>, parent: string, path: string) {
    this.#values = values
    this.#parent = parent
    this.#path = path
  }

  get count(): number {
    return this.#values.size
  }

  malformed(arc: string, problem: string): MalformedError {
    return new MalformedError({ path: arc === '' ? this.#path : `${this.#path}.${this.#parent}.${arc}` }, problem)
  }

  requireCount(count: number): void {
    if (this.count !== count) throw this.malformed('', `has ${this.count} entries, must have ${count}`)
  }

  #only<T>(arc: string, read: (value: DerCursor) => T): T {
    const value = this.#values.get(`${this.#parent}.${arc}`)
    if (!value) throw this.malformed(arc, 'is missing')
    const result = read(value)
    value.requireEnd()
    return result
  }

  octets(arc: string, size: number): Uint8Array {
    const octets = this.#only(arc, (value) => value.content(identifiers.octetString))
    if (octets.length !== size) throw this.malformed(arc, `has ${octets.length} bytes, must have ${size}`)
    return octets
  }

  integer(arc: string, maximum: number, identifier: number = identifiers.integer): number {
    const integer = this.#only(arc, (value) => value.smallInteger(maximum, identifier))
    if (integer === null) throw this.malformed(arc, `is not 0 to ${maximum}`)
    return integer
  }

  boolean(arc: string): boolean {
    return this.#only(arc, (value) => value.boolean())
  }

  nested(arc: string): Entries {
    return this.#only(arc, (value) => readEntries(value, `${this.#parent}.${arc}`))
  }
}
