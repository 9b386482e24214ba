// What every client of the conformance tests does: one exchange for each line that it is told, one JSON line for each answer.
import { createInterface } from 'node:readline'

/** What a caller of a client library would see of an error; never a stack. */
function seen(error) {
  const { name, message, code, statusCode } = error ?? {}
  return { ok: false, name: String(name), message: String(message), code: code ?? null, status: statusCode ?? null }
}

/** `exchange` uses the client library once and gives what its caller gets. */
export async function takeTurns(exchange) {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await exchange(line).then((value) => ({ ok: true, value }), seen)
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
}
