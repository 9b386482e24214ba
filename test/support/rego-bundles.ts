import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

export interface TarMember {
  readonly name: string
  readonly content?: string | Uint8Array
  /** Default: a regular file. */
  readonly type?: string
  readonly target?: string
}

const utf8 = new TextEncoder()
const bytesOf = (content: string | Uint8Array) => (typeof content === 'string' ? utf8.encode(content) : content)

function header({ name, type = '0', target = '' }: TarMember, size: number): Uint8Array {
  const block = new Uint8Array(512)
  const put = (at: number, text: string) => block.set(utf8.encode(text), at)
  put(0, name)
  put(100, '0000600\0')
  put(124, `${size.toString(8).padStart(11, '0')}\0`)
  put(148, ' '.repeat(8))
  put(156, type)
  put(157, target)
  put(257, 'ustar\x0000')
  const sum = block.reduce((total, byte) => total + byte, 0)
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

/** A tar archive, closed by two empty blocks. */
export function packTar(members: readonly TarMember[]): Uint8Array {
  const blocks = members.flatMap((member) => {
    const content = bytesOf(member.content ?? '')
    return [header(member, content.length), content, new Uint8Array((512 - (content.length % 512)) % 512)]
  })
  return new Uint8Array(Buffer.concat([...blocks, new Uint8Array(1024)]))
}

/** A bundle in the form of `opa build`: members begin with a slash. */
export function packBundle(wasm: Uint8Array, more: readonly TarMember[] = []): Uint8Array {
  return new Uint8Array(gzipSync(packTar([...more, { name: '/policy.wasm', content: wasm }])))
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
