import { type CommandIo, painted } from './terminal.ts'
import type { ShownVerifierStatus } from './verifier-answers.ts'
import { renderUntrusted, shownTime } from './verifier-policies.ts'

function untrustedText(slots: ShownVerifierStatus['policies']['untrusted'], io: CommandIo): string {
  if (slots === null)
    return 'signers     whether those of the active policies are trusted was not seen: the store fails\n'
  return renderUntrusted(slots ?? [], io)
}

/** Where policies are kept, and what it lacks. */
function storeText({ store: { kind, failure } }: ShownVerifierStatus, io: CommandIo): string {
  if (failure === null) return kind
  return `${kind}: ${painted(io, 'red', failure.code)} since ${shownTime(failure.since)}; ${failure.remedy}`
}

/** State of a verifier service, a line each. */
export function renderVerifierStatus(status: ShownVerifierStatus, io: CommandIo): string {
  const { version, pid, startedAt, issuer, listen, simulator, policies, facades } = status
  const signing = issuer.keys.filter(({ state }) => state === 'active').map(({ kid, alg }) => `${kid} (${alg})`)
  const lines = [
    ['version', `${version}, pid ${pid}, since ${shownTime(startedAt)}`],
    ['issuer', issuer.url],
    ['signs with', signing.length === 0 ? painted(io, 'red', 'no key yet') : signing.join(', ')],
    ['listens at', listen],
    ['policies', policies.default === null ? 'the shipped default for TDs' : policies.default.join(', ')],
    [
      'of files',
      policies.files.length === 0 ? 'none' : policies.files.map(({ id, hash }) => `${id} ${hash}`).join(', '),
    ],
    ['store', storeText(status, io)],
    ['surfaces', facades.length === 0 ? 'none besides' : facades.map((name) => `azure.${name}`).join(', ')],
    ...(simulator ? [['simulator', painted(io, 'yellow', 'simulated TDs pass, and every token says so')]] : []),
  ]
  const shown = lines.map(([name = '', text = '']) => `${name.padEnd(11)} ${text}\n`).join('')
  return shown + untrustedText(policies.untrusted, io)
}
