import { renderTable } from './table.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'
import type { ListedSigners, SignerChange } from './verifier-answers.ts'
import { renderUntrusted, shownTime } from './verifier-policies.ts'

const modes = {
  on: 'signer mode is on: policies and resets must be signed by one who is trusted',
  off: 'signer mode is off: nobody is trusted, and policies need no signature',
} as const

type ListedSigner = ListedSigners['trusted'][number]

function cells({ keySha256, added, removed, certificate }: ListedSigner): string[] {
  const validity = certificate === null ? 'damaged' : shownTime(certificate.notAfter)
  return [
    keySha256,
    certificate === null ? '-' : escaped(certificate.subject),
    validity,
    `${shownTime(added.at)} by ${added.by}`,
    ...(removed === null ? [] : [`${shownTime(removed.at)} by ${removed.by}`]),
  ]
}

const head = ['KEY', 'SUBJECT', 'VALID UNTIL', 'ADDED']

/** Who is trusted, and below it who once was, the last one first. */
export function renderSigners({ signerMode, trusted, former }: ListedSigners): string {
  const parts = [`${modes[signerMode]}\n`]
  if (trusted.length > 0) parts.push(renderTable(head, trusted.map(cells)))
  if (former.length > 0) parts.push(`trusted no more\n${renderTable([...head, 'REMOVED'], former.map(cells))}`)
  return parts.join('')
}

/** What became of a signer who was added or removed, and what that means for policies. */
export function renderSignerChange(what: 'add' | 'remove', answer: SignerChange, io: CommandIo): string {
  const { changed, signerMode, signer, untrusted = [] } = answer
  const of = `${signer.keySha256} (${escaped(signer.certificate.subject)})`
  const now = what === 'add' ? 'is trusted' : 'is trusted no more'
  const is = changed ? now : `${now}: that was so before, and nothing was changed`
  return `${of} ${painted(io, what === 'add' ? 'green' : 'yellow', is)}\n${modes[signerMode]}\n${renderUntrusted(untrusted, io)}`
}
