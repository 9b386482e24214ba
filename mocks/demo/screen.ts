import { checkCatalogue } from '../../src/agent/catalogue.ts'
import { renderFindings, renderVerdict } from '../../src/agent/presentation/findings.ts'
import { painted, processIo } from '../../src/agent/presentation/terminal.ts'
import type { Finding } from '../../src/results/appraisal.ts'
import type { DemoAgent } from './agent-process.ts'
import type { DemoMachine } from './machine.ts'
import type { DemoVerifier } from './verifying.ts'

interface Judged {
  readonly affirmed: boolean
  readonly findings: readonly Finding[]
}

/** What the demonstration shows, step by step. */
export class Screen {
  #io = processIo()
  #step = 0

  machine({ describes, simulated }: DemoMachine): void {
    this.#title('machine', describes)
    if (simulated) this.#line(painted(this.#io, 'yellow', 'simulated: every token below says attestd.simulated: true'))
  }

  agent({ socket, issuer, startedInMs }: DemoAgent): void {
    this.#title('agent', `answers after ${startedInMs} ms`)
    this.#line(`workload socket   ${socket}`)
    this.#line(`issuer            ${issuer}`)
  }

  remoteVerifier(describes: string): void {
    this.#title('remote verifier', describes)
  }

  enrolment(judged: Judged): void {
    this.#title('enrolment', 'is this TPM genuine, and are both keys in it?')
    this.#judged(judged)
  }

  evidence(judged: Judged): void {
    this.#title('appraisal', 'quotes over a fresh challenge, their logs, and that they belong together')
    this.#judged(judged)
  }

  workload(token: string, ms: number): void {
    this.#title('workload', `a process asked the socket and had a token of ${token.length} characters after ${ms} ms`)
  }

  relyingParty(accepted: Judged, strict: Judged | null): void {
    this.#title('relying party', 'knows the issuer and its own audience, nothing else')
    this.#judged(accepted)
    if (!strict) return
    const failed = strict.findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    this.#line(`without the switch for simulated hardware it refuses: ${failed.join(', ')}`)
  }

  token(token: string): void {
    this.#title('token', 'decoded')
    const [header = '', payload = ''] = token.split('.')
    for (const part of [header, payload]) {
      const text = JSON.stringify(JSON.parse(Buffer.from(part, 'base64url').toString()), null, 2)
      for (const line of text.split('\n')) this.#line(line)
    }
  }

  tryIt({ socket }: DemoAgent, { query, commands }: Pick<DemoVerifier, 'query' | 'commands'>): void {
    this.#title('try it', 'while the agent runs')
    this.#line(`curl --unix-socket ${socket} 'http://localhost/v1/token?${query}'`)
    for (const command of commands) this.#line(command)
  }

  staying(): void {
    this.#io.out('\nThe agent stays up; Ctrl-C ends it.\n')
  }

  #judged(judged: Judged): void {
    const text = `${renderFindings(judged.findings, checkCatalogue, this.#io)}${renderVerdict(judged, this.#io)}`
    for (const line of text.trimEnd().split('\n')) this.#line(line)
  }

  #title(name: string, says: string): void {
    this.#io.out(`\n${painted(this.#io, 'bold', `${++this.#step} ${name}`)}: ${says}\n`)
  }

  #line(text: string): void {
    this.#io.out(`  ${text}\n`)
  }
}
